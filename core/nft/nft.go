// Package nft maintains an nftables table that makes the kernel drop packets of banned
// clients. It uses netlink, so no program has to be installed, and it needs the
// capability CAP_NET_ADMIN. A table belongs to the network namespace of the process.
package nft

import "errors"

// Scope selects the packets of a banned client that are dropped.
type Scope int

const (
	// AllPackets drops every packet, whatever its protocol and port.
	AllPackets Scope = iota
	// NewConnections drops the first segment of TCP connections to the ports set by
	// Table.Guard. Established connections and UDP are not affected.
	NewConnections
)

// Options describe a table.
type Options struct {
	Name  string // in the family inet, up to 31 letters, digits, _ and -
	Bits4 int    // prefix length of IPv4 clients, 1 to 32
	Bits6 int    // prefix length of IPv6 clients, 1 to 128
	Scope Scope
	Max   int // maximum number of simultaneous bans; 0 for no limit
}

// ErrInUse is returned if another Table in the network namespace, of any process, has
// the same name.
var ErrInUse = errors.New("the nftables table is in use by another process")

// ErrFull is returned if Options.Max bans are in force.
var ErrFull = errors.New("the nftables table is full")
