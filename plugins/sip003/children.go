package sip003

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// command is what is run. It is comparable.
type command struct{ path, arguments, options string }

// use is one plugin that has to run.
type use struct {
	command
	remote core.Addr      // the server, or the public address of an inbound
	local  netip.AddrPort // where the inbound listens; not valid on the client's side
}

func (u use) isServer() bool { return u.local.IsValid() }

// children are the plugins of the process. The zero children is empty and ready.
type children struct {
	mu      sync.Mutex
	running map[use]*child                    // guarded by mu
	public  map[core.Addr]*child              // of inbounds, the last one; guarded by mu
	hidden  map[netip.AddrPort]netip.AddrPort // where inbounds listen, by public address; guarded by mu
}

// behind returns where the inbound of a public address listens.
func (cs *children) behind(public netip.AddrPort) (netip.AddrPort, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if at, ok := cs.hidden[public]; ok {
		return at, nil
	}
	at, err := freePort()
	if err != nil {
		return netip.AddrPort{}, err
	}
	if cs.hidden == nil {
		cs.hidden = map[netip.AddrPort]netip.AddrPort{}
	}
	cs.hidden[public] = at
	return at, nil
}

// freePort returns an address of this machine alone that nobody listens on. SIP003 leaves
// no other way: the plugin is told the number before it listens.
func freePort() (netip.AddrPort, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// acquire has a plugin run until release. On the server's side the plugin of another
// command on the same address is ended first.
func (cs *children) acquire(u use, log *slog.Logger) *child {
	cs.mu.Lock()
	c := cs.running[u]
	if c != nil && !c.isRetired() {
		c.holders++
		cs.mu.Unlock()
		return c
	}
	c = newChild(u, log)
	if cs.running == nil {
		cs.running, cs.public = map[use]*child{}, map[core.Addr]*child{}
	}
	cs.running[u] = c
	var before *child
	if u.isServer() {
		before = cs.public[u.remote]
		cs.public[u.remote] = c
	}
	cs.mu.Unlock()
	go func() {
		if before != nil {
			before.retire()
		}
		c.run()
	}()
	return c
}

// release ends a plugin that nobody else holds, and waits for its end.
func (cs *children) release(c *child) {
	cs.mu.Lock()
	c.holders--
	last := c.holders == 0
	if last {
		if cs.running[c.use] == c {
			delete(cs.running, c.use)
		}
		if cs.public[c.remote] == c {
			delete(cs.public, c.remote)
		}
	}
	cs.mu.Unlock()
	if last {
		c.retire()
	}
}

// find returns the plugin that runs for a use, or nil.
func (cs *children) find(u use) *child {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.running[u]
}
