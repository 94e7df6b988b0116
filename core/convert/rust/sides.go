package rust

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/link"
)

// server translates ssserver.
func (t *translation) server() {
	all := t.serverObjects()
	if len(all) == 0 {
		t.fail(convert.UsageError{Err: errNoServer})
		return
	}
	t.direct()
	shared := t.aclOf(t.object)
	for _, o := range all {
		s := t.serverOf(o)
		if t.err != nil {
			return
		}
		called := s.Name
		if called == "" {
			called = "server"
		}
		cipher, err := t.doc.Cipher(t.reg, called, s.Method, s.Password)
		if err != nil {
			t.fail(err)
			return
		}
		t.secret(cipher, s.Password)
		t.users(o, cipher)
		file := shared
		if o != t.object && o.has("acl") {
			file = t.aclOf(o)
		}
		if t.err != nil {
			return
		}
		serving := convert.Serving{
			Called: called, Listen: []string{net.JoinHostPort(s.Host, strconv.Itoa(s.Port))}, Cipher: cipher,
			Transport: t.doc.Plugin(s.Plugin, s.PluginOptions, ""), Mode: t.mode(o), After: []string{"outbound.direct"},
		}
		if mode := o.str("plugin_mode"); mode != "" && mode != "tcp_only" {
			t.fail(fmt.Errorf("%s: a plugin here carries TCP alone: want \"tcp_only\"", o.name("plugin_mode")))
		}
		o.keep("plugin_mode", "TCP, as by itself")
		o.keep("mode", "mode of [inbound.x]")
		if file != nil {
			serving.After = file.Server(&t.doc, "direct", t.resolver)
		}
		for _, p := range t.doc.Serve(serving) {
			t.pipeline(p)
			if n := o.number(1<<30, "timeout"); n > 0 {
				p.Set("idle_timeout", strconv.Itoa(n)+"s")
				o.keep("timeout", "idle_timeout of [pipeline.x]")
			}
		}
		if o != t.object {
			o.rest()
		}
	}
	t.keep("mode", "mode of [inbound.x]")
	t.drop("local_address", "a server has none")
	t.drop("local_port", "a server has none")
	t.drop("manager_address", "ports of a manager are served by its own process: ssmanager")
	t.drop("manager_port", "ports of a manager are served by its own process: ssmanager")
}

// users gives a cipher the users of a server.
func (t *translation) users(o *object, cipher string) {
	users := map[string]any{}
	for _, u := range o.objects("users") {
		name, password := u.str("name"), u.str("password")
		if name == "" || password == "" || users[name] != nil {
			t.fail(fmt.Errorf("%s: want a name that no other user has, and a password", strings.TrimSuffix(u.path, ".")))
		}
		users[name] = password
	}
	if len(users) > 0 {
		t.doc.Table("cipher."+cipher).Set("users", users)
	}
	o.keep("users", "users of [cipher.x]")
}

// manager translates ssmanager.
func (t *translation) manager() {
	listen := t.str("manager_address")
	if _, port, err := net.SplitHostPort(listen); err != nil || port == "" {
		if n := t.number(65535, "manager_port"); n > 0 && !filepath.IsAbs(listen) {
			listen = net.JoinHostPort(listen, strconv.Itoa(n))
		}
	}
	if listen == "" {
		t.fail(convert.UsageError{Err: fmt.Errorf("want --manager-addr")})
		return
	}
	method := t.str("method")
	if method == "" {
		method = "chacha20-ietf-poly1305" // as rust's manager
	}
	kind, err := convert.Method(t.reg, method)
	if err != nil {
		t.fail(err)
	}
	t.direct()
	host := t.str("server")
	if host == "" {
		host = "0.0.0.0"
	}
	after := []string{"outbound.direct"}
	if file := t.aclOf(t.object); file != nil {
		after = file.Server(&t.doc, "direct", t.resolver)
	}
	m := t.doc.Table("manager")
	m.Set("listen", listen)
	m.Set("host", []string{host})
	m.Set("method", kind)
	m.Set("mode", t.mode(t.object))
	m.Set("chain", after)
	t.keep("manager_address", "listen of [manager]")
	t.keep("manager_port", "listen of [manager]")
	t.keep("server", "host of [manager]")
	t.keep("method", "method of [manager]")
	t.keep("mode", "mode of [manager]")
	t.drop("server_port", "add names the port")
	t.drop("password", "add names the password of a port")
	t.drop("servers", "ports are added by the manager's requests; umbra convert makes pipelines of them as of ssserver's")
	t.drop("plugin", "add names the plugin of a port")
	t.drop("plugin_opts", "add names the plugin of a port")
	t.drop("timeout", "ports of a manager have the usual idle_timeout, 5 minutes")
	t.drop("keep_alive", "ports of a manager have the usual keep_alive, 15 seconds")
}

// local translates sslocal.
func (t *translation) local() {
	objects := t.serverObjects()
	if len(objects) == 0 {
		t.fail(convert.UsageError{Err: errNoServer})
		return
	}
	var servers []link.Server
	mode := t.mode(t.object)
	for _, o := range objects {
		servers = append(servers, t.serverOf(o))
		if m := o.str("plugin_mode"); m != "" && m != "tcp_only" {
			t.fail(fmt.Errorf("%s: a plugin here carries TCP alone: want \"tcp_only\"", o.name("plugin_mode")))
		}
		o.keep("plugin_mode", "TCP, as by itself")
		if o != t.object {
			o.drop("mode", "the mode of a local's own side is that of all servers")
			o.rest()
		}
	}
	locals := t.locals()
	for _, l := range locals {
		if m := t.mode(l); m != mode {
			mode = "both"
		}
	}
	if t.err != nil {
		return
	}
	exit, err := t.doc.Exit(t.reg, servers, mode)
	if err != nil {
		t.fail(err)
		return
	}
	for _, s := range servers {
		for cipher := range strings.FieldsSeq(s.Name + " server") {
			if t.doc.Has("cipher." + cipher) {
				t.secret(cipher, s.Password)
			}
		}
	}
	var first []string
	if t.bound() {
		t.direct()
		first = []string{"outbound.direct"}
	}
	shared := t.aclOf(t.object)
	for _, l := range locals {
		file := shared
		if l != t.object && l.has("acl") {
			file = t.aclOf(l)
		}
		inbound := t.inbound(l)
		if t.err != nil {
			return
		}
		chain := append([]string{"inbound." + inbound}, first...)
		if file != nil {
			t.direct()
			chain = []string{"inbound." + inbound, "outbound." + file.Client(&t.doc, exit, "direct", t.resolver)}
		} else {
			chain = append(chain, "outbound."+exit)
		}
		p := t.doc.Table("pipeline." + t.doc.Name("pipeline", inbound))
		p.Set("chain", chain)
		t.pipeline(p)
		if l != t.object {
			l.keep("mode", "mode of [inbound.x]")
			l.rest()
		}
	}
	t.keep("mode", "mode of [inbound.x]")
	t.drop("fast_open", "no Fast Open towards the server: the first bytes travel with the header, in the first packet after the handshake")
	t.drop("dns", "the server finds the names; those of ACL files are the system's")
	t.drop("ipv6_first", "the server finds the names")
	t.drop("outbound_fwmark", "it has no effect")
}

// locals returns the local sides: those of the list, and the one of the file itself.
func (t *translation) locals() []*object {
	var all []*object
	for _, l := range t.objects("locals") {
		if l.on("disabled") {
			for _, key := range l.order {
				l.drop(key, "the local side is disabled")
			}
			continue
		}
		all = append(all, l)
	}
	t.noted["locals"] = true
	if t.has("local_port") {
		all = append(all, t.object)
	}
	if len(all) == 0 {
		t.fail(convert.UsageError{Err: fmt.Errorf("want a local address: -b HOST:PORT, or \"local_port\" or \"locals\" in the file")})
	}
	return all
}

// inbound adds a local side and returns its name.
func (t *translation) inbound(l *object) string {
	listen := l.address("local_address", "local_port", "127.0.0.1")
	if listen == "" {
		t.fail(convert.UsageError{Err: fmt.Errorf("%slocal_port: missing", l.path)})
		return ""
	}
	protocol := l.str("protocol")
	kind, mode := "", t.mode(l)
	switch protocol {
	case "", "socks":
		kind = "mixed"
	case "http", "tunnel":
		kind = protocol
	case "redir":
		kind = "redirect"
	default:
		t.fail(fmt.Errorf("%s: %q is not supported: want socks, http, tunnel or redir", l.name("protocol"), protocol))
		return ""
	}
	name := t.doc.Name("inbound", kind)
	in := t.doc.Table("inbound." + name)
	in.Set("kind", kind)
	in.Set("listen", listen)
	switch kind {
	case "tunnel":
		target := l.address("forward_address", "forward_port", "")
		if target == "" {
			t.fail(convert.UsageError{Err: fmt.Errorf("%sforward_address: missing", l.path)})
		}
		in.Set("target", target)
		in.Set("mode", mode)
		l.keep("forward_address", "target of [inbound.tunnel]")
		l.keep("forward_port", "target of [inbound.tunnel]")
	case "redirect":
		t.redirect(l, in, mode)
	default:
		if kind == "mixed" {
			in.Set("mode", mode)
		}
		host, _, _ := net.SplitHostPort(listen)
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
			in.Say("as sslocal, it serves everybody who can reach it, without a password")
			in.Set("allow_open", true)
		}
	}
	l.keep("local_address", "listen of [inbound.%s]", name)
	l.keep("local_port", "listen of [inbound.%s]", name)
	l.keep("protocol", "kind of [inbound.%s]", name)
	for _, key := range []string{"socks5_auth_config_path", "http_auth_config_path"} {
		if l.has(key) {
			t.fail(fmt.Errorf("%s: without its users everybody would be served: write them as users of [inbound.%s], after umbra convert without it", l.name(key), name))
		}
	}
	return name
}

// redirect sets how connections and datagrams come to a transparent side.
func (t *translation) redirect(l *object, in *convert.Table, mode string) {
	way := func(key, otherwise string) string {
		text := l.str(key)
		switch text {
		case "":
			return otherwise
		case "redirect", "tproxy":
			l.keep(key, "[inbound.redirect]")
			return text
		}
		t.fail(fmt.Errorf("%s: %q is not supported: want redirect or tproxy", l.name(key), text))
		return ""
	}
	tcp, udp := way("tcp_redir", "redirect"), way("udp_redir", "tproxy")
	if mode == "tcp" {
		udp = "off"
	}
	if mode == "udp" {
		tcp = "off"
	}
	in.Set("tcp", tcp)
	in.Set("udp", udp)
}
