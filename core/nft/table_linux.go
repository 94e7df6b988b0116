package nft

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// priority places the table's chain before the chains of a usual filter, which are at 0,
// so that dropped packets do not reach their counters and logs.
const priority = -10

// ruleCount is the number of rules of the chain.
const ruleCount = 2

// restoreBatch is the number of bans per message when a table is created again. An
// attribute of netlink has at most 65,535 bytes, and an element takes about 40.
const restoreBatch = 500

// Table is an nftables table: a set of banned clients for each family, whose elements the
// kernel removes when they expire, and a rule for each set. If other software deletes or
// changes the table, the next call of Repair, or of a change that fails for it, creates it
// again with all bans. A Table is not safe for concurrent use.
type Table struct {
	options            Options
	lock               net.Listener
	conn               *nftables.Conn
	table              *nftables.Table
	chain              *nftables.Chain // with ruleCount rules
	ports              *nftables.Set   // nil for AllPackets
	clients4, clients6 *nftables.Set
	guarded            []uint16
	until              map[netip.Prefix]time.Time // expiry of each ban in the kernel
	forgot             time.Time                  // last scan of until for expired bans

	broken   bool      // the last change failed: the table is not what t says
	repairs  int       // that Repair has not returned yet
	reported time.Time // when Repair last returned repairs
	compared time.Time // when Repair last compared the bans
}

// Open creates the table. It replaces a table of the same name that a killed process has
// left. It returns an ErrInUse if another Table has the name.
func Open(o Options) (*Table, error) {
	// An abstract socket belongs to the network namespace, as the table does, and
	// ends with its process.
	lock, err := net.Listen("unix", "@umbra-nft-"+o.Name)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, ErrInUse
	} else if err != nil {
		return nil, err
	}
	t := &Table{options: o, lock: lock, until: map[netip.Prefix]time.Time{}}
	if t.conn, err = nftables.New(); err == nil {
		err = t.create()
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	t.compared = time.Now()
	return t, nil
}

// create creates the table with the ports and bans of t, and replaces an existing one.
func (t *Table) create() error {
	t.table = &nftables.Table{Family: nftables.TableFamilyINet, Name: t.options.Name}
	t.conn.AddTable(t.table) // so that there is one to delete
	t.conn.DelTable(t.table)
	t.conn.AddTable(t.table)
	t.clients4 = &nftables.Set{Table: t.table, Name: "banned4", KeyType: nftables.TypeIPAddr, HasTimeout: true}
	t.clients6 = &nftables.Set{Table: t.table, Name: "banned6", KeyType: nftables.TypeIP6Addr, HasTimeout: true}
	sets := []*nftables.Set{t.clients4, t.clients6}
	if t.options.Scope == NewConnections {
		t.ports = &nftables.Set{Table: t.table, Name: "ports", KeyType: nftables.TypeInetService}
		sets = append(sets, t.ports)
	}
	for _, s := range sets {
		if err := t.conn.AddSet(s, nil); err != nil {
			return err
		}
	}
	t.chain = t.conn.AddChain(&nftables.Chain{
		Name: "input", Table: t.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityRef(priority),
	})
	t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: t.chain, Exprs: t.drop(syscall.AF_INET, saddr4, net.CIDRMask(t.options.Bits4, 32), t.clients4)})
	t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: t.chain, Exprs: t.drop(syscall.AF_INET6, saddr6, net.CIDRMask(t.options.Bits6, 128), t.clients6)})
	if err := t.addPorts(); err != nil {
		return err
	}
	if err := t.flush(); err != nil {
		return err
	}
	return t.restore(time.Now())
}

// restore adds the bans of t to an empty table.
func (t *Table) restore(now time.Time) error {
	var of4, of6 []nftables.SetElement
	for client, until := range t.until {
		if left := until.Sub(now); left >= time.Millisecond {
			e := nftables.SetElement{Key: key(client), Timeout: left}
			if client.Addr().Is4() {
				of4 = append(of4, e)
			} else {
				of6 = append(of6, e)
			}
		}
	}
	for set, elements := range map[*nftables.Set][]nftables.SetElement{t.clients4: of4, t.clients6: of6} {
		for some := range slices.Chunk(elements, restoreBatch) {
			if err := t.conn.SetAddElements(set, some); err != nil {
				return err
			}
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush executes the operations queued on t.conn, all of them or none.
func (t *Table) flush() error {
	switch err := t.conn.Flush(); {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("nftables table inet %s: %w: it needs the capability CAP_NET_ADMIN", t.options.Name, err)
	default:
		return fmt.Errorf("nftables table inet %s: %w", t.options.Name, err)
	}
}

// change carries out what has been queued. Nothing that change's callers queue fails
// while the table is as create has made it, so an error means that other software has
// deleted or changed it.
func (t *Table) change() error {
	err := t.flush()
	if err != nil && !errors.Is(err, syscall.EPERM) {
		err = t.recreate()
	}
	t.broken = err != nil
	return err
}

// Guard replaces the ports whose connections are dropped. It is for NewConnections.
func (t *Table) Guard(ports []uint16) error {
	t.guarded = slices.Clone(ports)
	t.conn.FlushSet(t.ports)
	if err := t.addPorts(); err != nil {
		return err
	}
	return t.change()
}

// addPorts queues the guarded ports.
func (t *Table) addPorts() error {
	if len(t.guarded) == 0 {
		return nil
	}
	var all []nftables.SetElement
	for _, p := range t.guarded {
		all = append(all, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(p)})
	}
	return t.conn.SetAddElements(t.ports, all)
}

// Ban drops packets of a client for d, at least one second, from now on. It replaces an
// earlier ban of the same client. It returns an ErrFull if Options.Max bans are in force.
// After any other error the next Repair tries again.
func (t *Table) Ban(client netip.Prefix, d time.Duration) error {
	d, now := max(d, time.Second), time.Now()
	t.forget(now)
	_, held := t.until[client]
	if most := t.options.Max; !held && most > 0 && len(t.until) >= most {
		return ErrFull
	}
	t.until[client] = now.Add(d)
	if err := t.remove(client); err != nil {
		return err
	}
	if err := t.conn.SetAddElements(t.setOf(client), []nftables.SetElement{{Key: key(client), Timeout: d}}); err != nil {
		return err
	}
	return t.change()
}

// Free lifts a ban.
func (t *Table) Free(client netip.Prefix) error {
	until, held := t.until[client]
	if delete(t.until, client); !held || !time.Now().Before(until) {
		return nil // the kernel has removed it by itself
	}
	if err := t.remove(client); err != nil {
		return err
	}
	return t.change()
}

// remove queues the removal of a client, which may have expired a moment ago: it is
// added first, because the kernel refuses to remove an element that does not exist.
func (t *Table) remove(client netip.Prefix) error {
	set := t.setOf(client)
	e := []nftables.SetElement{{Key: key(client), Timeout: time.Second}}
	if err := t.conn.SetAddElements(set, e); err != nil {
		return err
	}
	return t.conn.SetDeleteElements(set, []nftables.SetElement{{Key: key(client)}})
}

// setOf returns the set of a client's family.
func (t *Table) setOf(client netip.Prefix) *nftables.Set {
	if client.Addr().Is4() {
		return t.clients4
	}
	return t.clients6
}

// key returns a client's key in its set.
func key(client netip.Prefix) []byte { return client.Masked().Addr().AsSlice() }

// forget removes expired bans from t.until, at most once a second.
func (t *Table) forget(now time.Time) {
	if now.Sub(t.forgot) < time.Second {
		return
	}
	t.forgot = now
	for client, until := range t.until {
		if !now.Before(until) {
			delete(t.until, client)
		}
	}
}

// Close deletes the table, which other software may have done already.
func (t *Table) Close() error {
	defer t.lock.Close()
	t.conn.AddTable(t.table)
	t.conn.DelTable(t.table)
	return t.flush()
}
