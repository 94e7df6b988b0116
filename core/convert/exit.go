package convert

import (
	"net"
	"slices"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/link"
)

// Exit adds servers as outbounds, and returns the name of the one that leads to all of them:
// a group if there are several, which takes one after the other, a request each. Plugins
// carry TCP; if mode has UDP, it goes to the server itself, as in the programs that have
// plugins. mode is "tcp", "udp" or "both".
func (d *Document) Exit(reg *core.Registry, servers []link.Server, mode string) (string, error) {
	group := func(called string, all []link.Server) (string, error) {
		var names []string
		for _, s := range all {
			name, err := d.Server(reg, s)
			if err != nil {
				return "", err
			}
			names = append(names, name)
		}
		name := d.Group("balance", called, names)
		if len(names) > 1 {
			d.Table("outbound."+name).Set("by", "turn")
		}
		return name, nil
	}
	hasPlugin := slices.ContainsFunc(servers, func(s link.Server) bool { return s.Plugin != "" })
	if !hasPlugin || mode == "tcp" {
		return group("servers", servers)
	}
	bare := slices.Clone(servers)
	for i := range bare {
		bare[i].Plugin, bare[i].PluginOptions = "", ""
		if bare[i].Name == "" {
			bare[i].Name = "server"
		}
		bare[i].Name += "-udp"
	}
	if mode == "udp" {
		return group("servers", bare)
	}
	tcp, err := group("servers", servers)
	if err != nil {
		return "", err
	}
	udp, err := group("servers-udp", bare)
	if err != nil {
		return "", err
	}
	rule := d.Name("rule", "udp")
	t := d.Table("rule." + rule)
	t.Say("the plugin carries TCP alone")
	t.Set("networks", []string{"udp"})
	t.Set("chain", []string{"outbound." + udp})
	name := d.Name("outbound", "exit")
	t = d.Table("outbound." + name)
	t.Set("kind", "route")
	t.Set("rules", []string{rule})
	t.Set("otherwise", []string{"outbound." + tcp})
	return name, nil
}

// Group adds a group of outbounds and returns its name. Of one outbound it makes no group.
func (d *Document) Group(kind, called string, members []string) string {
	if len(members) == 1 {
		return members[0]
	}
	name := d.Name("outbound", called)
	t := d.Table("outbound." + name)
	t.Set("kind", kind)
	t.Set("members", members)
	return name
}

// Addresses returns hosts with a port, for a key "listen".
func Addresses(hosts []string, port int) []string {
	all := make([]string, len(hosts))
	for i, h := range hosts {
		all[i] = net.JoinHostPort(h, strconv.Itoa(port))
	}
	return all
}

// Listen returns addresses as the value of a key "listen": one, or a list.
func Listen(addresses []string) any {
	if len(addresses) == 1 {
		return addresses[0]
	}
	return addresses
}

// Serve adds the inbounds of a server and a pipeline for each: one, or for TCP through a
// plugin and UDP beside it two.
func (d *Document) Serve(s Serving) []*Table {
	inbound := func(called, mode, transport string) *Table {
		name := d.Name("inbound", called)
		t := d.Table("inbound." + name)
		t.Set("kind", "ss")
		t.Set("listen", Listen(s.Listen))
		t.Set("cipher", s.Cipher)
		if mode != "both" {
			t.Set("mode", mode)
		}
		if transport != "" {
			t.Set("transport", []string{transport})
		}
		p := d.Table("pipeline." + d.Name("pipeline", called))
		p.Set("chain", append([]string{"inbound." + name}, s.After...))
		return p
	}
	switch {
	case s.Transport == "" || s.Mode == "tcp":
		return []*Table{inbound(s.Called, s.Mode, s.Transport)}
	case s.Mode == "udp":
		return []*Table{inbound(s.Called, "udp", "")}
	}
	return []*Table{inbound(s.Called, "tcp", s.Transport), inbound(s.Called+"-udp", "udp", "")}
}

// Serving is a port of a Shadowsocks server.
type Serving struct {
	Called    string
	Listen    []string
	Cipher    string
	Transport string   // of a plugin; "" for none
	Mode      string   // "tcp", "udp" or "both"
	After     []string // what its chain has after the inbound
}
