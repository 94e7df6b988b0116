package rust

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/convert/acl"
	"github.com/umbra-proxy/umbra/core/dropin"
	"github.com/umbra-proxy/umbra/core/link"
)

// translation is one translation. Its object is the file's, with the flags.
type translation struct {
	*object
	reg  *core.Registry
	role dropin.Role
	doc  convert.Document
	err  error // the first mistake

	resolver string
}

// Translate makes a configuration of what a program was given.
func Translate(reg *core.Registry, in Input) (*Result, error) {
	t := &translation{reg: reg, role: in.Role}
	report := &convert.Report{}
	t.object = &object{values: map[string]any{}, said: map[string]string{}, noted: map[string]bool{}, report: report, fail: func(err error) {
		if t.err == nil {
			t.err = err
		}
	}}
	if in.Config != nil {
		if err := t.read(in.Config); err != nil {
			return nil, fmt.Errorf("config file: %w", err)
		}
	}
	for _, f := range in.Flags {
		t.flag(f)
	}
	launch := Launch{User: t.str("user"), Background: t.on("daemonize"), PIDFile: t.str("daemonize_pid")}
	t.keep("user", "the process becomes this user once its ports are open")
	t.keep("daemonize", "the process goes into the background")
	t.keep("daemonize_pid", "its pid file")
	t.process()
	if t.err != nil {
		return nil, t.err
	}
	switch t.role {
	case dropin.Local:
		t.local()
	case dropin.Server:
		t.server()
	default:
		t.manager()
	}
	if t.err != nil {
		return nil, t.err
	}
	t.rest()
	return &Result{t.doc, *report, launch}, nil
}

// process translates what is about the process and its log, and what would lead traffic
// another way if it were left out.
func (t *translation) process() {
	level := "info"
	if t.on("verbose") {
		level = "debug"
	}
	if t.has("log") {
		log := t.child("log.", t.values["log"])
		if log.number(100, "level") > 0 {
			level = "debug"
		}
		log.keep("level", "level of [log]")
		log.drop("format", "[log] has a format of its own")
		log.drop("writers", "output of [log] is one stream, file or syslog")
		t.noted["log"] = true
		log.rest()
	}
	t.keep("verbose", "level of [log]")
	t.doc.Table("log").Set("level", level)
	t.doc.Table("process").Set("grace", "0s") // they end at once
	for _, key := range []string{"outbound_proxy"} {
		if t.has(key) {
			t.fail(fmt.Errorf("%s: write the proxies as [outbound.x] tables in the pipeline's chain, after umbra convert without them", t.name(key)))
		}
	}
}

// direct adds the outbound by which everything leaves from here.
func (t *translation) direct() {
	if t.doc.Has("outbound.direct") {
		return
	}
	d := t.doc.Table("outbound.direct")
	d.Say("shadowsocks-rust reaches every address, this machine's and private networks' too. To have umbra\nrefuse those, remove this line.")
	d.Set("allow", []string{"0.0.0.0/0", "::/0"})
	if text := t.str("outbound_bind_addr"); text != "" {
		if host, _, err := net.SplitHostPort(text); err == nil {
			text = host
		}
		if _, err := netip.ParseAddr(text); err != nil {
			t.fail(fmt.Errorf("%s: %q is no address", t.name("outbound_bind_addr"), text))
		}
		d.Set("from", []string{text})
	}
	if name := t.str("outbound_bind_interface"); name != "" {
		d.Set("interface", name)
	}
	if mark := t.str("outbound_fwmark"); mark != "" {
		n, err := strconv.ParseUint(mark, 0, 32)
		if err != nil {
			t.fail(fmt.Errorf("%s: %q is no mark", t.name("outbound_fwmark"), mark))
		}
		d.Set("mark", int64(n))
	}
	if t.role != dropin.Local {
		if t.on("fast_open") {
			d.Set("fast_open", true)
		}
		t.change("fast_open", "fast_open of [outbound.direct]; connections that are accepted are as the system is set")
	}
	t.keep("outbound_bind_addr", "from of [outbound.direct]")
	t.keep("outbound_bind_interface", "interface of [outbound.direct]")
	t.keep("outbound_fwmark", "mark of [outbound.direct]")
	t.names()
	d.Set("resolver", t.resolver)
}

// bound reports whether what leaves from here has an address, interface or mark of its own.
func (t *translation) bound() bool {
	return t.has("outbound_bind_addr") || t.has("outbound_bind_interface") || t.has("outbound_fwmark")
}

// servers of names that rust has words for.
var dnsWords = map[string][]string{
	"google": {"8.8.8.8", "8.8.4.4"}, "cloudflare": {"1.1.1.1", "1.0.0.1"}, "quad9": {"9.9.9.9", "149.112.112.112"},
	"google_tls": {"tls://8.8.8.8"}, "google_https": {"https://8.8.8.8/dns-query"}, "cloudflare_tls": {"tls://1.1.1.1"}, "cloudflare_https": {"https://1.1.1.1/dns-query"},
	"quad9_tls": {"tls://9.9.9.9"}, "quad9_https": {"https://9.9.9.9/dns-query"},
}

// names adds the resolver.
func (t *translation) names() {
	t.resolver = "system"
	servers := []string(nil)
	if text, isText := t.values["dns"].(string); isText && text != "system" && text != "" {
		if servers = dnsWords[text]; servers == nil {
			for s := range strings.SplitSeq(text, ",") {
				servers = append(servers, strings.TrimPrefix(strings.TrimSpace(s), "udp://"))
			}
		}
		t.resolver = "dns"
	} else if t.has("dns") && !isText {
		t.fail(fmt.Errorf("%s: want a text, such as \"8.8.8.8\": name servers as an object are not read", t.name("dns")))
	}
	r := t.doc.Table("resolver." + t.resolver)
	if servers != nil {
		r.Set("servers", servers)
	}
	if t.on("ipv6_first") {
		r.Set("prefer", "ipv6")
	}
	t.keep("dns", "[resolver.%s]", t.resolver)
	t.keep("ipv6_first", "prefer of [resolver.%s]", t.resolver)
}

// pipeline sets what holds for pipelines.
func (t *translation) pipeline(p *convert.Table) {
	if n := t.number(1<<30, "timeout"); n > 0 {
		p.Set("idle_timeout", strconv.Itoa(n)+"s")
	}
	if n := t.number(1<<30, "keep_alive"); n > 0 {
		p.Set("keep_alive", strconv.Itoa(n)+"s")
	}
	t.keep("timeout", "idle_timeout of [pipeline.x]")
	t.keep("keep_alive", "keep_alive of [pipeline.x]")
}

// mode returns the mode of an object, or that of the file.
func (t *translation) mode(o *object) string {
	where := o
	if !o.has("mode") {
		where = t.object
	}
	switch mode := where.str("mode"); mode {
	case "", "tcp_only":
		return "tcp"
	case "tcp_and_udp":
		return "both"
	case "udp_only":
		return "udp"
	default:
		t.fail(fmt.Errorf("%s: %q is unknown: want tcp_only, udp_only or tcp_and_udp", where.name("mode"), mode))
	}
	return "tcp"
}

// aclOf opens the ACL file of an object, or returns nil for none.
func (t *translation) aclOf(o *object) *acl.File {
	path := o.str("acl")
	if path == "" {
		return nil
	}
	file, err := acl.Open(path, acl.Rust)
	if err != nil {
		t.fail(err)
		return nil
	}
	o.change("acl", "its entries, read at the start and for each reload")
	return file
}

// serverObjects returns the servers: those of the list, and the one of the file itself.
func (t *translation) serverObjects() []*object {
	all := t.objects("servers")
	if t.has("server") {
		all = append(all, t.object)
	}
	t.noted["servers"] = true
	enabled := all[:0:0]
	for _, o := range all {
		if o.on("disabled") {
			for _, key := range o.order {
				o.drop(key, "the server is disabled")
			}
			continue
		}
		o.drop("disabled", "it is not")
		enabled = append(enabled, o)
	}
	return enabled
}

// password returns a password, or the variable that a file names.
var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// serverOf reads a server.
func (t *translation) serverOf(o *object) link.Server {
	s := link.Server{
		ID: o.str("id"), Name: o.str("remarks", "name"), Host: o.str("server", "address"), Port: o.number(65535, "server_port", "port"),
		Method: o.str("method"), Password: o.str("password"), Plugin: o.str("plugin"), PluginOptions: o.str("plugin_opts"),
	}
	switch {
	case s.Host == "" || s.Port == 0:
		t.fail(convert.UsageError{Err: fmt.Errorf("%sserver: want a server with a port", o.path)})
	case s.Method == "":
		t.fail(convert.UsageError{Err: fmt.Errorf("%smethod: missing", o.path)})
	}
	if _, isList := o.values["plugin_args"].([]any); isList || o.str("plugin_args") != "" {
		t.fail(fmt.Errorf("%s: write arguments of a plugin as arguments of [transport.plugin], after umbra convert without them", o.name("plugin_args")))
	}
	for _, key := range []string{"server", "address", "server_port", "port"} {
		o.keep(key, "%s", map[dropin.Role]string{dropin.Local: "server of [outbound.x]", dropin.Server: "listen of [inbound.x]"}[t.role])
	}
	o.keep("method", "kind of [cipher.x]")
	o.keep("password", "password of [cipher.x]")
	o.keep("plugin", "plugin of [transport.x]")
	o.keep("plugin_opts", "options of [transport.x]")
	o.keep("remarks", "the names of its tables")
	o.keep("name", "the names of its tables")
	return s
}

// secret puts the variable that a password names in its place.
func (t *translation) secret(cipher, password string) {
	if m := variable.FindStringSubmatch(password); m != nil {
		t.doc.Table("cipher."+cipher).Set("password", map[string]any{"env": m[1]})
	}
}

var errNoServer = errors.New("want a server: -s HOST:PORT, or \"servers\" in the file")
