package nft

import (
	"net"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Offsets of fields in headers, and masks of TCP flags.
const (
	saddr4, saddr6 = 12, 8 // RFC 791 §3.1, RFC 8200 §3
	dport          = 2     // RFC 9293 §3.1
	tcpFlags       = 13
	synAndAck      = 0x12
	syn            = 0x02
)

// drop returns a rule that drops packets whose source address, under mask, is in a
// set of clients.
func (t *Table) drop(family byte, saddr uint32, mask net.IPMask, clients *nftables.Set) []expr.Any {
	rule := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
	}
	if t.options.Scope == NewConnections {
		rule = append(rule, t.begins()...)
	}
	return append(rule,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: saddr, Len: uint32(len(mask))},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask))},
		&expr.Lookup{SourceRegister: 1, SetName: clients.Name, SetID: clients.ID},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)
}

// begins returns the part of a rule that matches the first segment of a TCP connection
// to a guarded port.
func (t *Table) begins() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syscall.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: tcpFlags, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{synAndAck}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: dport, Len: 2},
		&expr.Lookup{SourceRegister: 1, SetName: t.ports.Name, SetID: t.ports.ID},
	}
}
