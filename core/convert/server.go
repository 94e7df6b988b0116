// Package convert makes configurations of umbra out of what other programs are given: it
// has the document that is written, the report of what became of each key, and the pieces
// that all formats need. The packages below it read one family of programs each.
package convert

import (
	"net"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/link"
	"github.com/umbra-proxy/umbra/core/methods"
)

// Cipher adds a [cipher.x] for a method and a password and returns its name. Methods that
// need it are allowed as insecure: whoever runs another program's file has chosen it.
func (d *Document) Cipher(reg *core.Registry, called, method, password string) (string, error) {
	kind, err := Method(reg, method)
	if err != nil {
		return "", err
	}
	name := d.Name("cipher", called)
	t := d.Table("cipher." + name)
	t.Set("kind", kind)
	if isInsecure(reg, kind) {
		t.Set("insecure", true)
	}
	t.Set("password", password)
	return name, nil
}

// isInsecure reports whether a kind of cipher is refused unless its table says so.
func isInsecure(reg *core.Registry, kind string) bool {
	k, ok := reg.Cipher.Lookup(kind)
	return ok && methods.IsInsecure(k.Options)
}

// Server adds a Shadowsocks server as an outbound, with its cipher and its plugin, and
// returns the outbound's name.
func (d *Document) Server(reg *core.Registry, s link.Server) (string, error) {
	called := s.Name
	if called == "" {
		called = "server"
	}
	cipher, err := d.Cipher(reg, called, s.Method, s.Password)
	if err != nil {
		return "", err
	}
	transport := d.Plugin(s.Plugin, s.PluginOptions, "")
	name := d.Name("outbound", called)
	t := d.Table("outbound." + name)
	t.Set("kind", "ss")
	t.Set("server", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	t.Set("cipher", cipher)
	if transport != "" {
		t.Set("transport", []string{transport})
	}
	return name, nil
}

// Plugin adds a SIP003 plugin as a transport and returns its name, or "" for no plugin.
// mode is that of rust's plugin_mode: "" or "tcp_only", "udp_only", "tcp_and_udp".
func (d *Document) Plugin(plugin, options, mode string) string {
	return d.PluginAs("plugin", plugin, options, mode)
}

// PluginAs is Plugin for a transport that is called something else.
func (d *Document) PluginAs(called, plugin, options, mode string) string {
	if plugin == "" {
		return ""
	}
	name := d.Name("transport", called)
	t := d.Table("transport." + name)
	t.Set("kind", "sip003")
	t.Set("plugin", plugin)
	if options != "" {
		t.Set("options", options)
	}
	switch mode {
	case "tcp_and_udp":
		t.Set("mode", "both")
	case "udp_only":
		t.Set("mode", "udp")
	}
	return name
}
