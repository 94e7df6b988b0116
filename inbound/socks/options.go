package socks

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// defaultTimeout is the default of handshake_timeout.
const defaultTimeout = option.Duration(30 * time.Second)

// Options are the keys of an inbound that serves SOCKS5. A kind embeds them in its own
// options.
type Options struct {
	inbound.Options
	inbound.UserOptions
	UDPPorts   option.Ports `toml:"udp_ports" help:"the ports that associations use, as \"20000-20100\"; without it, the system picks each port"`
	UDPShared  bool         `toml:"udp_shared" help:"all associations share one UDP socket, on the address and port of listen; else each has a port of its own"`
	UDPAddress option.IP    `toml:"udp_address" help:"the address that clients are told to send their datagrams to, where a NAT or a container hides this machine's own"`
}

// New returns a SOCKS5 inbound. Without users it returns an error for an address that
// other machines can reach, unless o allows that; then it logs a warning.
func New(env core.Env, o Options) (core.Inbound, error) {
	users, err := o.Open(env, o.Listen)
	if err != nil {
		return nil, err
	}
	return NewAmong(env, o, users, nil)
}

// NewAmong returns an inbound that serves SOCKS5 to users, and, to clients whose first byte
// is in others, other protocols.
func NewAmong(env core.Env, o Options, users inbound.Users, others map[byte]inbound.Handshaker) (core.Inbound, error) {
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultTimeout
	}
	switch {
	case o.UDPShared && o.UDPPorts.IsValid():
		return nil, core.BadOption("udp_shared", "give only one of udp_shared and udp_ports")
	case o.UDPShared && !o.Mode.Packets():
		return nil, core.BadOption("udp_shared", "mode = %q serves no UDP", o.Mode)
	}
	h := &handshaker{users: users, mode: o.Mode, ports: o.UDPPorts, told: o.UDPAddress.Addr, quota: inbound.KeepQuota(env, o.Options)}
	var all inbound.Handshaker = h
	if len(others) > 0 {
		all = inbound.ByFirstByte(h, others)
	}
	streams, err := inbound.New(env, o.Options, all)
	if err != nil || !o.UDPShared {
		return streams, err
	}
	h.shared = newShared(env, o.Options, &h.memo)
	return inbound.Both(streams, h.shared), nil
}
