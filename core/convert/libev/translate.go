package libev

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/convert/acl"
	"github.com/umbra-proxy/umbra/core/dropin"
	"github.com/umbra-proxy/umbra/core/link"
)

// Defaults of libev.
const (
	defaultMethod  = "chacha20-ietf-poly1305"
	defaultTimeout = 60 // seconds
)

// everywhere is what libev's programs connect to: they refuse no address.
var everywhere = []string{"0.0.0.0/0", "::/0"}

// translation is one translation.
type translation struct {
	*settings
	reg  *core.Registry
	role dropin.Role
	doc  convert.Document
	err  error // the first mistake

	method, password string
	mode             string
	acl              *acl.File
	resolver         string // "" for that of the system
	home             string
	launch           Launch
}

// Translate makes a configuration of what a program was given.
func Translate(reg *core.Registry, in Input) (*Result, error) {
	s, err := read(in)
	if err != nil {
		return nil, err
	}
	t := &translation{settings: s, reg: reg, role: in.Role, home: in.Home}
	t.process()
	t.secrets()
	t.network()
	switch t.role {
	case dropin.Server:
		t.server()
	case dropin.Manager:
		t.manager()
	default:
		t.client()
	}
	if t.err != nil {
		return nil, t.err
	}
	t.rest(t.role)
	return &Result{t.doc, t.Report, t.launch}, nil
}

func (t *translation) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *translation) str(key string) string {
	text, err := t.text(key)
	t.fail1(err)
	return text
}

func (t *translation) strs(key string) []string {
	all, err := t.texts(key)
	t.fail1(err)
	return all
}

func (t *translation) isOn(key string) bool {
	on, err := t.on(key)
	t.fail1(err)
	return on
}

func (t *translation) fail1(err error) {
	if err != nil {
		t.fail(err)
	}
}

// port returns a port. libev takes 0, which means any; nobody could find that one.
func (t *translation) port(key string) int {
	n, err := t.number(key, 0, 1, 65535)
	t.fail1(err)
	return n
}

// process translates what is about the process and its log.
func (t *translation) process() {
	if t.has("auth") {
		if on, isBool := t.by["auth"].values[0].(bool); !isBool || on {
			t.fail(ErrAuth)
		}
		t.drop("auth", "there is no one-time authentication, and the file asks for none")
	}
	t.launch = Launch{User: t.str("user"), PIDFile: t.str("pid_file"), WorkDir: t.str("workdir")}
	t.keep("user", "the process becomes this user once its ports are open")
	t.keep("pid_file", "the process goes into the background, with this file")
	if t.role == dropin.Manager {
		t.drop("workdir", "the manager writes no files")
		t.drop("executable", "ports are served by the process itself")
	}
	log := t.doc.Table("log")
	log.Set("level", "info")
	if t.isOn("verbose") {
		log.Set("level", "debug")
	}
	t.keep("verbose", `level of [log]`)
	if t.isOn("use_syslog") {
		log.Set("output", "syslog")
	}
	t.keep("use_syslog", `output of [log]`)
	t.doc.Table("process").Set("grace", "0s") // they end at once
	t.drop("nofile", "the process raises its limit by itself as far as it may; a higher one is the service manager's, LimitNOFILE of systemd")
	t.drop("remarks", "it says nothing to the program")
}

// secrets translates the method and the password.
func (t *translation) secrets() {
	if t.method = t.str("method"); t.method == "" {
		t.method = defaultMethod
	}
	kind, err := convert.Method(t.reg, t.method)
	t.fail1(err)
	t.keep("method", "kind of [cipher.x]")
	t.password = t.str("password")
	t.keep("password", "password of [cipher.x]")
	if key := t.str("key"); key != "" && t.role != dropin.Manager {
		if t.password != "" {
			t.change("password", "the key goes before it, as in libev")
		}
		if !strings.HasPrefix(kind, "2022-") {
			t.fail(fmt.Errorf("%s: umbra makes the keys of %s out of passwords: set the same password at both ends, or take a 2022 method, whose password is a key", t.said("key"), t.method))
		}
		t.password = strings.NewReplacer("-", "+", "_", "/").Replace(key)
		t.keep("key", "password of [cipher.x]")
	}
}

// network translates what holds for all sockets.
func (t *translation) network() {
	switch mode := t.str("mode"); mode {
	case "", "tcp_only":
		t.mode = "tcp"
	case "tcp_and_udp":
		t.mode = "both"
	case "udp_only":
		t.mode = "udp"
	default:
		t.mode = "tcp"
		t.change("mode", "%q is unknown, so it is tcp_only, as in libev", mode)
	}
	t.keep("mode", "mode %q", t.mode)
	t.isOn("reuse_port")
	t.drop("reuse_port", "one process has a port; a reload or SIGHUP keeps it, and it uses all processors")
	t.isOn("no_delay")
	t.keep("no_delay", "it is always on")
	t.isOn("mptcp")
	t.drop("mptcp", "there is no Multipath TCP")
	t.drop("mtu", "datagrams are as long as their sender makes them")
	for _, b := range []string{"tcp_incoming_sndbuf", "tcp_incoming_rcvbuf", "tcp_outgoing_sndbuf", "tcp_outgoing_rcvbuf"} {
		t.drop(b, "the system sizes the buffers by itself")
	}
	t.drop("dscp", "packets are not marked; nftables can, by port")
	t.drop("nftables_sets", "a [policy.ban] with kernel = true bans in nftables")
	t.drop("ipv6_only", "listen on an IPv6 address says it")
	t.drop("disable_sni", "names are never taken out of what clients send")
	if path := t.str("acl"); path != "" && (t.role == dropin.Local || t.role == dropin.Server || t.role == dropin.Manager) {
		file, err := acl.Open(path, acl.Libev)
		t.fail1(err)
		if t.acl = file; file != nil {
			for _, line := range file.Ignored {
				t.Drop(t.said("acl"), "%s", line)
			}
		}
		t.change("acl", "its entries, read at the start and for each reload")
	}
}

// names translates which servers find names, for direct.
func (t *translation) names(direct *convert.Table) {
	servers := strings.FieldsFunc(t.str("nameserver"), func(r rune) bool { return r == ',' || r == ' ' })
	first := t.isOn("ipv6_first")
	switch {
	case len(servers) > 0:
		t.resolver = "dns"
		table := t.doc.Table("resolver.dns")
		table.Set("servers", servers)
		if first {
			table.Set("prefer", "ipv6")
		}
	case first || t.acl != nil:
		t.resolver = "system"
		table := t.doc.Table("resolver.system")
		if first {
			table.Set("prefer", "ipv6")
		}
	}
	if t.resolver != "" {
		direct.Set("resolver", t.resolver)
	}
	t.keep("nameserver", "servers of [resolver.dns]")
	t.keep("ipv6_first", "prefer of [resolver.%s]", t.resolver)
}

// direct adds the outbound by which targets are reached from here.
func (t *translation) direct() {
	d := t.doc.Table("outbound.direct")
	d.Say("shadowsocks-libev reaches every address, this machine's and private networks' too. To have umbra\nrefuse those, remove this line.")
	d.Set("allow", everywhere)
	var from []string
	for _, key := range t.sources() {
		if text := t.str(key); text != "" {
			if ip, err := netip.ParseAddr(text); err != nil {
				t.fail(fmt.Errorf("%s: %q is no address", t.said(key), text))
			} else if !ip.IsUnspecified() {
				from = append(from, text)
			}
			t.keep(key, "from of [outbound.direct]")
		}
	}
	if len(from) > 0 {
		d.Set("from", from)
	}
	if name := t.str("interface"); name != "" && t.role != dropin.Redir {
		d.Set("interface", name)
		t.keep("interface", "interface of [outbound.direct]")
	}
	if t.role == dropin.Server || t.role == dropin.Manager {
		if t.isOn("fast_open") {
			d.Set("fast_open", true)
		}
		t.change("fast_open", "fast_open of [outbound.direct]; connections that are accepted are as the system is set")
	}
	t.names(d)
}

// sources returns the keys with addresses that connections to targets leave from.
func (t *translation) sources() []string {
	if t.role != dropin.Server && t.role != dropin.Manager {
		return nil
	}
	return []string{"local_address", "local_ipv4_address", "local_ipv6_address"}
}

// idle sets the timeout of pipelines.
func (t *translation) idle(pipelines ...*convert.Table) {
	seconds, err := t.number("timeout", defaultTimeout, 0, 1<<30)
	t.fail1(err)
	if seconds == 0 {
		seconds = defaultTimeout
	}
	for _, p := range pipelines {
		p.Set("idle_timeout", strconv.Itoa(seconds)+"s")
	}
	t.keep("timeout", "idle_timeout of [pipeline.x]")
}

// hosts returns what -s and server name, and the port that one of them has by itself.
func (t *translation) hosts() []link.Server {
	port := t.port("server_port")
	var all []link.Server
	for _, text := range t.strs("server") {
		s := link.Server{Host: strings.Trim(text, "[]"), Port: port}
		if host, p, err := net.SplitHostPort(text); err == nil && strings.Count(text, ":") == 1+strings.Count(host, ":") && (strings.HasPrefix(text, "[") || !strings.Contains(host, ":")) {
			s.Host = host
			if s.Port, err = strconv.Atoi(p); err != nil {
				t.fail(fmt.Errorf("%s: %q has no port", t.said("server"), text))
			}
		}
		all = append(all, s)
	}
	if len(all) > 1 && t.role != dropin.Server && t.role != dropin.Manager {
		t.change("server", "[outbound.servers] takes them by turns, and leaves one out while it fails; ss-%s picks by chance", t.role)
	}
	t.keep("server", "%s", t.where("server", "the host"))
	t.keep("server_port", "%s", t.where("server", "the port"))
	return all
}

// where tells where the key went that a server listens on and a client dials.
func (t *translation) where(table, what string) string {
	switch t.role {
	case dropin.Server:
		return what + " of listen of [inbound." + table + "]"
	case dropin.Manager:
		return "host of [manager]"
	}
	return what + " of server of [outbound." + table + "]"
}
