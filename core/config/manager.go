package config

import (
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/umbra-proxy/umbra/core/option"
)

// Manager is the [manager] table: ports of Shadowsocks servers that other programs add and
// remove while the process runs.
type Manager struct {
	Listen    string                 `toml:"listen" help:"where the manager takes requests: an address and a port for UDP, or the path of a Unix socket, which only its user may open"`
	Dialect   string                 `toml:"dialect" default:"libev" oneof:"libev,python" help:"whose protocol it speaks: that of ss-manager of shadowsocks-libev, or that of the Python original"`
	Host      []string               `toml:"host" default:"0.0.0.0" help:"the addresses on which ports are opened"`
	Method    string                 `toml:"method" default:"chacha20-ietf-poly1305" help:"the encryption method of ports that are added without one"`
	Mode      option.Mode            `toml:"mode" default:"both" help:"what ports serve"`
	Gates     []string               `toml:"gates" help:"what the pipeline of each port has before its inbound, such as policy.ban"`
	Chain     []string               `toml:"chain" help:"what the pipeline of each port has after its inbound; required"`
	Passwords map[string]option.Text `toml:"port_password" help:"ports that are there from the start, each with its password"`
	Ports     int                    `toml:"ports" default:"10000" min:"1" max:"65535" help:"how many ports there may be at once"`
}

// IsSet reports whether the file has a manager.
func (m Manager) IsSet() bool { return m.Listen != "" }

// Address returns the address of the UDP socket, or false for a Unix socket.
func (m Manager) Address() (at netip.AddrPort, ok bool) {
	at, err := netip.ParseAddrPort(m.Listen)
	return at, err == nil
}

// checkManager records the mistakes of [manager] that one key alone does not show.
func (c *checker) checkManager(n *node) {
	m := &c.file.Manager
	if !m.IsSet() {
		if _, given := c.src.all[0].values[tableManager]; given {
			c.add(n.key, join(tableManager, "listen"), "missing; write an address such as %q, or the path of a Unix socket", "127.0.0.1:6001")
		}
		return
	}
	at, isAddress := m.Address()
	if !isAddress && !filepath.IsAbs(m.Listen) && filepath.Ext(m.Listen) == "" && filepath.Base(m.Listen) == m.Listen {
		c.add(n.child("listen").value, join(tableManager, "listen"), "%q is neither an address with a port nor a path; write one such as %q or %q", m.Listen, "127.0.0.1:6001", "/run/umbra/manager.sock")
	}
	if isAddress && !at.Addr().IsLoopback() {
		c.file.warn(n.child("listen").value, join(tableManager, "listen"), "everybody who can reach this address may open ports and see passwords: the protocol has none of its own; write a loopback address or a Unix socket")
	}
	for number := range m.Passwords {
		if port, err := strconv.ParseUint(number, 10, 16); err != nil || port == 0 {
			c.add(n.child("port_password").child(number).key, join(tableManager, "port_password"), "%q is not a port: from 1 to 65535", number)
		}
	}
	for i, host := range m.Host {
		if _, err := netip.ParseAddr(host); err != nil {
			c.add(n.child("host").item(i).value, join(tableManager, "host"), "%q is no address; write one such as %q", host, "0.0.0.0")
		}
	}
	if len(m.Chain) == 0 {
		c.add(n.key, join(tableManager, "chain"), "missing; write what a pipeline has after its inbound, such as [%q]", "outbound.direct")
	}
}

// Extra is a text beside a file: it has components, rules and pipelines, as an included file
// has.
type Extra struct {
	Name string // for positions
	Data []byte
}

// including reads what a text includes, and the extras.
func including(extras []Extra) func(*checker, *source) {
	return func(c *checker, src *source) {
		c.include(src)
		for _, e := range extras {
			if _, problem := c.src.add(document{name: e.Name, data: e.Data}); problem != nil {
				c.unread = append(c.unread, *problem)
			}
		}
	}
}
