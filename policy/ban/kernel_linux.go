package ban

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// nftable is a table of nftables, the process's own: two sets of clients, whose
// members the kernel forgets by itself, a set of ports, and a rule for each family.
type nftable struct {
	conn               *nftables.Conn
	table              *nftables.Table
	ports              *nftables.Set
	clients4, clients6 *nftables.Set
	until              map[netip.Prefix]time.Time // when the kernel forgets whom it was told of
	forgot             time.Time                  // when until was gone through
}

// Where fields stand in headers, and the flags of TCP, in bytes.
const (
	saddr4, saddr6 = 12, 8 // RFC 791 §3.1, RFC 8200 §3
	dport          = 2     // RFC 9293 §3.1
	tcpFlags       = 13
	synAndAck      = 0x12
	syn            = 0x02
)

// openFirewall makes the table with that name anew. What an earlier process has left
// there is taken away.
func openFirewall(name string, bits4, bits6 int) (firewall, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, err
	}
	n := &nftable{conn: conn, until: map[netip.Prefix]time.Time{}}
	n.table = &nftables.Table{Family: nftables.TableFamilyINet, Name: name}
	conn.AddTable(n.table) // so that there is one to delete
	conn.DelTable(n.table)
	conn.AddTable(n.table)
	n.ports = &nftables.Set{Table: n.table, Name: "ports", KeyType: nftables.TypeInetService}
	n.clients4 = &nftables.Set{Table: n.table, Name: "banned4", KeyType: nftables.TypeIPAddr, HasTimeout: true}
	n.clients6 = &nftables.Set{Table: n.table, Name: "banned6", KeyType: nftables.TypeIP6Addr, HasTimeout: true}
	for _, s := range []*nftables.Set{n.ports, n.clients4, n.clients6} {
		if err := conn.AddSet(s, nil); err != nil {
			return nil, err
		}
	}
	chain := conn.AddChain(&nftables.Chain{
		Name: "input", Table: n.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	conn.AddRule(&nftables.Rule{Table: n.table, Chain: chain, Exprs: n.rule(syscall.AF_INET, saddr4, net.CIDRMask(bits4, 32), n.clients4)})
	conn.AddRule(&nftables.Rule{Table: n.table, Chain: chain, Exprs: n.rule(syscall.AF_INET6, saddr6, net.CIDRMask(bits6, 128), n.clients6)})
	if err := conn.Flush(); err != nil {
		return nil, explained(err)
	}
	return n, nil
}

// explained says what is missing for rules.
func explained(err error) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: it takes the capability CAP_NET_ADMIN", err)
	}
	return err
}

// rule drops the first segment of a TCP connection from a client in a set to one of
// the ports. What runs goes on.
func (n *nftable) rule(family byte, saddr uint32, mask net.IPMask, clients *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syscall.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: tcpFlags, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{synAndAck}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: dport, Len: 2},
		&expr.Lookup{SourceRegister: 1, SetName: n.ports.Name, SetID: n.ports.ID},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: saddr, Len: uint32(len(mask))},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask))},
		&expr.Lookup{SourceRegister: 1, SetName: clients.Name, SetID: clients.ID},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// Guard puts other ports in the place of those that are guarded.
func (n *nftable) Guard(ports []uint16) error {
	n.conn.FlushSet(n.ports)
	var all []nftables.SetElement
	for _, p := range ports {
		all = append(all, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(p)})
	}
	if len(all) > 0 {
		if err := n.conn.SetAddElements(n.ports, all); err != nil {
			return err
		}
	}
	return explained(n.conn.Flush())
}

// set returns the set of a client and its key there.
func (n *nftable) set(client netip.Prefix) (*nftables.Set, []byte) {
	key := client.Masked().Addr().AsSlice()
	if client.Addr().Is4() {
		return n.clients4, key
	}
	return n.clients6, key
}

// Ban drops what a client begins.
func (n *nftable) Ban(client netip.Prefix, d time.Duration) error {
	set, key := n.set(client)
	d = max(d, time.Second)
	if err := n.conn.SetAddElements(set, []nftables.SetElement{{Key: key, Timeout: d}}); err != nil {
		return err
	}
	n.forget(time.Now())
	n.until[client] = time.Now().Add(d)
	return explained(n.conn.Flush())
}

// forget drops what the kernel has forgotten by itself, now and then.
func (n *nftable) forget(now time.Time) {
	if now.Sub(n.forgot) < time.Second {
		return
	}
	n.forgot = now
	for client, until := range n.until {
		if !now.Before(until) {
			delete(n.until, client)
		}
	}
}

// Free takes that back.
func (n *nftable) Free(client netip.Prefix) error {
	until, held := n.until[client]
	if delete(n.until, client); !held || !time.Now().Before(until) {
		return nil // the kernel has forgotten it by itself
	}
	set, key := n.set(client)
	if err := n.conn.SetDeleteElements(set, []nftables.SetElement{{Key: key}}); err != nil {
		return err
	}
	if err := n.conn.Flush(); err != nil && !errors.Is(err, syscall.ENOENT) {
		return explained(err)
	}
	return nil
}

// Close takes the table away.
func (n *nftable) Close() error {
	n.conn.DelTable(n.table)
	return explained(n.conn.Flush())
}
