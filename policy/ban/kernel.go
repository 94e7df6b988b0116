package ban

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// kernel copies bans to nftables, which drops new connections of banned clients, so
// that they cost no accept. Its errors are logged and do not affect the table.
type kernel struct {
	table *table
	ports func() []uint16 // the ports on which the process listens
	open  func() (firewall, error)
	wake  chan struct{} // wakes run; capacity 1

	mu      sync.Mutex
	pending map[netip.Prefix]Ban // guarded by mu
}

// firewall is the part of nft.Table that kernel uses.
type firewall interface {
	Guard(ports []uint16) error
	Ban(client netip.Prefix, d time.Duration) error
	Free(client netip.Prefix) error
	Repair() (repairs int, err error)
	Close() error
}

// guardEvery is the interval between checks for changed listening ports, and for rules
// that other software has deleted.
const guardEvery = time.Second

func newKernel(t *table, ports func() []uint16, open func() (firewall, error)) *kernel {
	return &kernel{table: t, ports: ports, open: open, wake: make(chan struct{}, 1), pending: map[netip.Prefix]Ban{}}
}

// put queues a changed ban for the kernel. The table's lock is held.
func (k *kernel) put(b Ban) {
	k.mu.Lock()
	k.pending[b.Addr] = b // at most one for each record of the table
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default: // a wake-up is pending and covers this ban
	}
}

// run copies the table's bans until ctx ends, and then removes all rules. Without the
// permission to create rules it logs a warning and returns.
func (k *kernel) run(ctx context.Context, log *slog.Logger) {
	f, err := k.open()
	if err != nil {
		log.Warn("kernel bans disabled: each refused connection costs an accept", slog.Any("err", err))
		return
	}
	defer func() {
		if err := f.Close(); err != nil {
			log.Error("nftables rules not removed", slog.Any("err", err))
		}
	}()
	k.table.follow(k.put)
	defer k.table.follow(nil)
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	var guarded []uint16
	for failed := ""; ; {
		err := k.guard(f, &guarded)
		if err == nil {
			err = k.apply(f)
		}
		if repaired := k.repair(f, log); err == nil || repaired == nil {
			err = repaired // a repair makes the changes that failed, too
		}
		if text := textOf(err); text != failed {
			if failed = text; err != nil {
				log.Error("kernel bans not updated", slog.String("err", text))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-k.wake:
		}
	}
}

// repair puts the table back if other software has deleted or changed it.
func (k *kernel) repair(f firewall, log *slog.Logger) error {
	repairs, err := f.Repair()
	if repairs > 0 {
		log.Warn("kernel bans put back: other software had deleted or changed the nftables table", slog.Int("times", repairs),
			slog.String("hint", "\"flush ruleset\" deletes the tables of all programs: let the rules of /etc/nftables.conf delete their own tables"))
	}
	return err
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// guard applies the rules to the ports on which the process listens now.
func (k *kernel) guard(f firewall, guarded *[]uint16) error {
	ports := k.ports()
	slices.Sort(ports)
	if ports = slices.Compact(ports); slices.Equal(ports, *guarded) {
		return nil
	}
	err := f.Guard(ports)
	if err == nil {
		*guarded = ports
	}
	return err
}

// apply sends the queued changes to the kernel. A change that fails is made by repair:
// until then the table refuses the client.
func (k *kernel) apply(f firewall) error {
	k.mu.Lock()
	pending := k.pending
	k.pending = map[netip.Prefix]Ban{}
	k.mu.Unlock()
	rules, now := k.table.rules.Load(), time.Now()
	var failed error
	for addr, b := range pending {
		var err error
		if b.IsActive(now) && addr == rules.clientOf(addr.Addr()) && !rules.exempts(addr.Addr()) && rules.Mode != "observe" {
			err = f.Ban(addr, b.Until.Sub(now)) // the kernel holds clients only, no ranges
		} else {
			err = f.Free(addr)
		}
		if err != nil {
			failed = err
		}
	}
	return failed
}

// follow calls put with each active ban, and with each later change. A nil put stops
// the calls.
func (t *table) follow(put func(Ban)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.enforce = func(Ban) {}
	if put == nil {
		return
	}
	t.enforce = put
	now := time.Now()
	for _, r := range t.bans {
		if r.IsActive(now) {
			put(r.Ban)
		}
	}
}
