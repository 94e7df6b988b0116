package libev

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/dropin"
)

// client translates ss-local, ss-tunnel and ss-redir.
func (t *translation) client() {
	servers := t.hosts()
	if len(servers) == 0 {
		t.fail(convert.UsageError{Err: errors.New("server is NULL")})
	}
	for i := range servers {
		if servers[i].Port == 0 {
			t.fail(convert.UsageError{Err: errors.New("server_port is NULL")})
		}
		servers[i].Method, servers[i].Password = t.method, t.password
		servers[i].Plugin, servers[i].PluginOptions = t.str("plugin"), t.str("plugin_opts")
	}
	t.keep("plugin", "[transport.plugin]")
	t.keep("plugin_opts", "options of [transport.plugin]")
	if t.password == "" {
		t.fail(convert.UsageError{Err: errors.New("both password and key are NULL")})
	}
	inbound := t.inbound()
	if t.err != nil {
		return
	}
	exit, err := t.doc.Exit(t.reg, servers, t.mode)
	if t.fail1(err); t.err != nil {
		return
	}
	chain := []string{"inbound." + inbound}
	bound := t.str("interface") != "" && t.role != dropin.Redir
	switch {
	case t.acl != nil:
		t.change("interface", "interface of [outbound.direct]: for targets that the ACL file leaves to it; servers are reached by the routes")
		t.direct()
		exit = t.acl.Client(&t.doc, exit, "direct", t.resolver)
	case bound && t.str("plugin") == "":
		t.direct()
		chain = append(chain, "outbound.direct")
	case bound:
		t.drop("interface", "the plugin connects, by the routes")
	}
	t.drop("local_ipv4_address", "ss-%s binds no address towards the server", t.role)
	t.drop("local_ipv6_address", "ss-%s binds no address towards the server", t.role)
	t.isOn("fast_open")
	t.drop("fast_open", "no Fast Open towards the server: the first bytes travel with the header, in the first packet after the handshake")
	chain = append(chain, "outbound."+exit)
	pipeline := t.doc.Table("pipeline." + string(t.role))
	pipeline.Set("chain", chain)
	t.idle(pipeline)
}

// inbound adds what clients connect to, and returns its name.
func (t *translation) inbound() string {
	host := t.str("local_address")
	if host == "" {
		host = "127.0.0.1"
	}
	t.keep("local_address", "the host of listen of [inbound.%s]", t.kind())
	listen, isOpen := "", false
	if path := t.str("local_port"); strings.HasPrefix(path, "/") && t.role == dropin.Local {
		listen = "unix:" + path
	} else {
		port := t.port("local_port")
		if port == 0 {
			t.fail(convert.UsageError{Err: errors.New("local_port is NULL")})
		}
		listen = net.JoinHostPort(wild(host), strconv.Itoa(port))
		ip, err := netip.ParseAddr(host)
		isOpen = err != nil || !ip.IsLoopback()
	}
	t.keep("local_port", "the port of listen of [inbound.%s]", t.kind())
	in := t.doc.Table("inbound." + t.kind())
	in.Set("listen", listen)
	switch t.role {
	case dropin.Tunnel:
		target := t.str("tunnel_address")
		if target == "" {
			t.fail(convert.UsageError{Err: errors.New("tunnel_address is NULL")})
		} else if _, port, err := net.SplitHostPort(target); err != nil || port == "" {
			t.fail(errors.New("tunnel port is not defined"))
		}
		in.Set("target", target)
		in.Set("mode", t.mode)
		t.keep("tunnel_address", "target of [inbound.tunnel]")
	case dropin.Redir:
		t.redirect(in)
	default:
		in.Set("mode", t.mode)
		if isOpen {
			in.Say("as ss-local, it serves everybody who can reach it, without a password")
			in.Set("allow_open", true)
		}
	}
	return t.kind()
}

// redirect sets how connections and datagrams come to ss-redir.
func (t *translation) redirect(in *convert.Table) {
	tcp, udp := "redirect", "off"
	if t.isOn("tcp_tproxy") {
		tcp = "tproxy"
	}
	switch t.mode {
	case "both":
		udp = "tproxy"
	case "udp":
		tcp, udp = "off", "tproxy"
	}
	in.Set("tcp", tcp)
	in.Set("udp", udp)
	t.keep("tcp_tproxy", fmt.Sprintf("tcp = %q of [inbound.redirect]", tcp))
}

// kind returns the kind of inbound that a program has, which is its name too.
func (t *translation) kind() string {
	switch t.role {
	case dropin.Tunnel:
		return "tunnel"
	case dropin.Redir:
		return "redirect"
	}
	return "socks5"
}
