package python

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/dropin"
	"github.com/umbra-proxy/umbra/core/link"
)

// translation is a configuration that is being made of a Config.
type translation struct {
	*Config
	reg  *core.Registry
	role dropin.Role
	doc  convert.Document
}

// Translate returns the configuration that does what a program of the original does by c.
func (c *Config) Translate(reg *core.Registry, role dropin.Role) (*convert.Document, error) {
	method, err := c.method()
	if err != nil {
		return nil, err
	}
	if _, err := convert.Method(reg, method); err != nil {
		return nil, err
	}
	t := &translation{Config: c, reg: reg, role: role}
	t.log()
	if role == dropin.Server {
		err = t.server(method)
	} else {
		err = t.local(method)
	}
	return &t.doc, err
}

// method returns the method as other programs call it.
func (c *Config) method() (string, error) {
	method := strings.ToLower(strings.TrimSpace(c.Method))
	if strings.TrimPrefix(method, "mbedtls:") == "chacha20-poly1305" {
		return "", fmt.Errorf("method chacha20-poly1305 of the Python original is not supported, for no other program has it: use chacha20-ietf-poly1305 at both ends")
	}
	if method == "" {
		method = "aes-256-cfb"
	}
	return method, nil
}

// Level returns the level of the log.
func (c *Config) Level() slog.Level {
	switch {
	case c.Verbose > 0:
		return slog.LevelDebug
	case c.Verbose == 0:
		return slog.LevelInfo
	case c.Verbose == -1:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// log makes the log one of the original's form. In the background it goes to the log file.
func (t *translation) log() {
	table := t.doc.Table("log")
	table.Set("format", "python")
	if level := t.Level(); level != slog.LevelInfo {
		table.Set("level", strings.ToLower(level.String()))
	}
	if t.Background() && t.LogFile != "" {
		path := t.LogFile
		if !strings.ContainsAny(path, `/\`) {
			path = "." + string(filepath.Separator) + path
		}
		table.Set("output", path)
	}
}

// Background reports whether the program is to be a daemon.
func (c *Config) Background() bool { return c.Daemon == "start" || c.Daemon == "restart" }

// idle returns the timeout as a duration.
func (t *translation) idle() string {
	return strconv.FormatFloat(max(t.Timeout, 1), 'f', -1, 64) + "s"
}

// local makes a SOCKS5 server, or a tunnel, with one outbound for each server and port.
func (t *translation) local(method string) error {
	in := t.doc.Table("inbound.local")
	if t.role == dropin.Tunnel {
		in.Set("kind", "tunnel")
		in.Set("listen", net.JoinHostPort(bare(t.LocalAddress), strconv.Itoa(t.TunnelPort)))
		in.Set("target", net.JoinHostPort(bare(t.TunnelRemote), strconv.Itoa(t.TunnelTo)))
	} else {
		in.Set("kind", "socks5")
		in.Set("listen", net.JoinHostPort(bare(t.LocalAddress), strconv.Itoa(t.LocalPort)))
		in.Set("udp_shared", true)
		if ip, err := netip.ParseAddr(bare(t.LocalAddress)); err != nil || !ip.IsLoopback() {
			in.Set("allow_open", true)
		}
	}
	var members []string
	for _, host := range t.Server {
		for _, port := range t.ServerPort {
			name, err := t.doc.Server(t.reg, link.Server{Host: bare(host), Port: port, Method: method, Password: t.Password})
			if err != nil {
				return err
			}
			members = append(members, name)
		}
	}
	last := members[0]
	if len(members) > 1 {
		last = t.doc.Name("outbound", "any")
		group := t.doc.Table("outbound." + last)
		group.Say("Each connection takes one of the servers.")
		group.Set("kind", "balance")
		group.Set("members", members)
	}
	chain := []string{"inbound.local"}
	if t.FastOpen {
		wire := t.doc.Table("outbound.wire")
		wire.Say("The way to the server.")
		wire.Set("kind", "direct")
		wire.Set("fast_open", true)
		wire.Set("allow", []string{"0.0.0.0/0", "::/0"})
		chain = append(chain, "outbound.wire")
	}
	t.pipeline("local", append(chain, "outbound."+last)...)
	return nil
}

// server makes an inbound for each port.
func (t *translation) server(method string) error {
	list := t.PortPassword
	if len(list) == 0 && t.Password != "" {
		for _, port := range t.ServerPort {
			list = append(list, PortPassword{port, t.Password})
		}
	}
	chain := t.far()
	if t.ManagerAddress != "" {
		t.manager(method, list, chain)
		return nil
	}
	for _, p := range list {
		name := "port-" + strconv.Itoa(p.Port)
		if t.doc.Has("inbound." + name) {
			continue
		}
		cipher, err := t.doc.Cipher(t.reg, name, method, p.Password)
		if err != nil {
			return err
		}
		in := t.doc.Table("inbound." + name)
		in.Set("kind", "ss")
		in.Set("listen", t.listen(p.Port))
		in.Set("cipher", cipher)
		t.pipeline(name, append([]string{"inbound." + name}, chain...)...)
	}
	return nil
}

// hosts returns the addresses that a server listens on.
func (t *translation) hosts() []string {
	var hosts []string
	for _, host := range t.Server {
		if host = bare(host); host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if slices.Contains(hosts, "::") { // has the addresses of IPv4 too
		hosts = slices.DeleteFunc(hosts, func(h string) bool { return h == "0.0.0.0" })
	}
	if hosts == nil {
		return []string{"0.0.0.0"}
	}
	return hosts
}

// listen returns the addresses with a port.
func (t *translation) listen(port int) any {
	var list []string
	for _, host := range t.hosts() {
		list = append(list, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// far makes what a server's pipelines have behind their inbound, and returns its stages.
func (t *translation) far() (chain []string) {
	prefer := "ipv4"
	if t.PreferIPv6 {
		prefer = "ipv6"
	}
	names := t.doc.Table("resolver.names")
	if len(t.DNSServer) > 0 {
		names.Set("kind", "dns")
		names.Set("servers", t.DNSServer)
	} else {
		names.Set("kind", "system")
	}
	names.Set("prefer", prefer)
	if denied := t.forbidden(); len(denied) > 0 {
		acl := t.doc.Table("policy.forbidden")
		acl.Set("kind", "acl")
		acl.Set("deny_targets", denied)
		acl.Set("resolver", "names")
		chain = append(chain, "policy.forbidden")
	}
	out := t.doc.Table("outbound.direct")
	out.Say("As in the original, what is not forbidden can be reached.")
	out.Set("allow", []string{"0.0.0.0/0", "::/0"})
	out.Set("resolver", "names")
	if t.FastOpen {
		out.Set("fast_open", true)
	}
	return append(chain, "outbound.direct")
}

// forbidden returns the ranges that clients may not reach. Where loopback is one, so are the
// addresses by which the kernel reaches it too.
func (t *translation) forbidden() (list []string) {
	add := func(text string) {
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	for _, text := range t.ForbiddenIP {
		p, _, err := network(text)
		if err != nil {
			continue // has been refused
		}
		add(p.String())
		switch {
		case p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1})):
			add("0.0.0.0/8")
		case p.Contains(netip.IPv6Loopback()):
			add("::/128")
		}
	}
	return list
}

// manager makes the table of the manager, which opens ports while the process runs: this is
// the one place that knows it.
func (t *translation) manager(method string, list []PortPassword, chain []string) {
	table := t.doc.Table("manager")
	table.Set("listen", t.ManagerAddress)
	table.Set("dialect", "python")
	table.Set("host", t.hosts())
	if kind, err := convert.Method(t.reg, method); err == nil {
		method = kind
	}
	table.Set("method", method)
	table.Set("mode", "both")
	table.Set("chain", chain)
	ports := map[string]any{}
	for _, p := range list {
		ports[strconv.Itoa(p.Port)] = p.Password
	}
	if len(ports) > 0 {
		table.Set("port_password", ports)
	}
}

// pipeline makes a pipeline.
func (t *translation) pipeline(name string, chain ...string) {
	table := t.doc.Table("pipeline." + name)
	table.Set("chain", chain)
	table.Set("idle_timeout", t.idle())
}

// Listens returns what the program listens on, as the original says it.
func (c *Config) Listens(role dropin.Role) (list []string) {
	switch role {
	case dropin.Tunnel:
		return []string{fmt.Sprintf("%s:%d", c.LocalAddress, c.TunnelPort)}
	case dropin.Local:
		return []string{fmt.Sprintf("%s:%d", c.LocalAddress, c.LocalPort)}
	}
	t := translation{Config: c}
	ports := c.ServerPort
	if len(c.PortPassword) > 0 {
		ports = nil
		for _, p := range c.PortPassword {
			ports = append(ports, p.Port)
		}
	} else if c.Password == "" {
		ports = nil
	}
	for _, port := range ports {
		for _, host := range t.hosts() {
			list = append(list, fmt.Sprintf("%s:%d", host, port))
		}
	}
	return list
}

// bare returns a host without the brackets of an IPv6 address.
func bare(host string) string {
	host = strings.TrimSpace(host)
	if inner, found := strings.CutPrefix(host, "["); found {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}
