// Package nft keeps a table of nftables that drops packets of banned clients in the
// kernel. It speaks netlink, so no program has to be installed, and it needs the
// capability CAP_NET_ADMIN. A table belongs to the network namespace of the process.
package nft

import "errors"

// Scope is which packets of a banned client are dropped.
type Scope int

const (
	// AllPackets drops every packet, whatever its protocol and port.
	AllPackets Scope = iota
	// NewConnections drops the first segment of TCP connections to the ports that
	// Table.Guard names. Established connections and UDP are left alone.
	NewConnections
)

// Options describe a table.
type Options struct {
	Name  string // in the family inet, up to 31 letters, digits, _ and -
	Bits4 int    // of a client's IPv4 address, 1 to 32; the others don't count
	Bits6 int    // of a client's IPv6 address, 1 to 128
	Scope Scope
	Max   int // bans that hold at once; 0 for no bound
}

// ErrInUse says that another Table of the network namespace, in any process, has the
// same name.
var ErrInUse = errors.New("the table of nftables is in use by another process")

// ErrFull says that Options.Max bans hold.
var ErrFull = errors.New("the table of nftables is full")
