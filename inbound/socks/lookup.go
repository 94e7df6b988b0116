package socks

import (
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// isLookup reports whether the client asks for a lookup and no stream.
func (r request) isLookup() bool {
	return r.cmd == socksaddr.CmdResolve || r.cmd == socksaddr.CmdResolveName
}

// ips returns the target of a RESOLVE that is an address, and so its own answer.
func (r request) ips() []netip.Addr {
	if ip := r.target.IP(); r.cmd == socksaddr.CmdResolve && ip.IsValid() {
		return []netip.Addr{ip}
	}
	return nil
}

// lookup is a client that waits for the answer to its RESOLVE or RESOLVE_PTR.
type lookup struct{ pending }

var _ core.PendingLookup = lookup{}

// Answer sends the reply, whose BND is the answer: a name, or the first IPv4 address, or
// the first address if there is none. It waits up to a second for the client to read it,
// and closes the connection.
func (l lookup) Answer(a core.Answer) {
	reply := appendReply(nil, socksaddr.RepHostUnreachable)
	if bound, ok := answered(a); ok {
		reply = appendReplyAt(nil, socksaddr.RepSuccess, bound)
	}
	dismiss(l.conn, time.Now().Add(lingerTime), reply)
	_ = l.conn.Close()
}

// answered returns the part of an answer that a reply has room for.
func answered(a core.Answer) (core.Addr, bool) {
	if a.Name != "" {
		name, err := core.NewAddr(a.Name, 0)
		return name, err == nil
	}
	if len(a.IPs) == 0 {
		return core.Addr{}, false
	}
	best := a.IPs[0]
	for _, ip := range a.IPs {
		if ip.Is4() {
			best = ip
			break
		}
	}
	return core.NewIPAddr(best, 0), true
}
