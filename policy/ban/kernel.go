package ban

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// kernel has the kernel drop what banned clients begin, so that they cost no accept.
// It follows the table: what it can't do is logged and changes nothing there.
type kernel struct {
	table *table
	ports func() []uint16 // that the process listens on
	open  func() (firewall, error)
	wake  chan struct{} // has room for one

	mu      sync.Mutex
	pending map[netip.Prefix]Ban // guarded by mu
}

// firewall is what kernel needs of an nft.Table.
type firewall interface {
	Guard(ports []uint16) error
	Ban(client netip.Prefix, d time.Duration) error
	Free(client netip.Prefix) error
	Close() error
}

// guardEvery is how often it is looked whether the process listens on other ports.
const guardEvery = time.Second

func newKernel(t *table, ports func() []uint16, open func() (firewall, error)) *kernel {
	return &kernel{table: t, ports: ports, open: open, wake: make(chan struct{}, 1), pending: map[netip.Prefix]Ban{}}
}

// put has a change of a ban carried out soon. The table's lock is held.
func (k *kernel) put(b Ban) {
	k.mu.Lock()
	k.pending[b.Addr] = b // one for each of the table's at the most
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default: // whoever is awake takes all
	}
}

// run follows the table until ctx ends, and takes all rules away then. Without the
// right to make rules it says so and returns.
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
			err = k.carryOut(f)
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

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// guard guards the ports that the process listens on.
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

// carryOut does what has changed. What fails is tried again by the next ban alone:
// the table refuses the client anyway.
func (k *kernel) carryOut(f firewall) error {
	k.mu.Lock()
	pending := k.pending
	k.pending = map[netip.Prefix]Ban{}
	k.mu.Unlock()
	rules, now := k.table.rules.Load(), time.Now()
	var failed error
	for addr, b := range pending {
		var err error
		if b.IsOn(now) && addr == rules.clientOf(addr.Addr()) && !rules.exempts(addr.Addr()) && rules.Mode != "observe" {
			err = f.Ban(addr, b.Until.Sub(now)) // ranges are the table's alone
		} else {
			err = f.Free(addr)
		}
		if err != nil {
			failed = err
		}
	}
	return failed
}

// follow has put called with each ban that holds, and with each change from then on.
// With nil it ends.
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
		if r.IsOn(now) {
			put(r.Ban)
		}
	}
}
