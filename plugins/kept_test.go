package plugins_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/netio"
)

// options are those of a table before and after an edit of the file: as much as can
// change what a component keeps. DIR is a folder of the test.
type options struct{ before, after string }

// sshOptions are the least that an outbound of kind ssh needs.
const sshOptions = "server = \"127.0.0.1:1\"\nuser = \"alice\"\npassword = \"pw\"\nhost_key = \"SHA256:JJuU0VvIuaLr9RdPDPX1GWx9LQ1qMd6BfVGFKXOZ9bU\"\n"

// keptCases are tables of the kinds that ship, but for ciphers, which share their
// options.
var keptCases = map[string]options{
	"inbound.socks5":   {"", "max_sessions = 7\nclient_sessions = 3"},
	"inbound.ss":       {`cipher = "own"`, "cipher = \"own\"\nmax_sessions = 7\nclient_sessions = 3"},
	"inbound.http":     {"", "max_handshakes = 7\nusers = { alice = \"correct horse\" }"},
	"inbound.mixed":    {"", "max_sessions = 7\nclient_sessions = 3"},
	"inbound.redirect": {`udp = "tproxy"`, "udp = \"tproxy\"\nmax_sessions = 7\nclient_sessions = 3\nanswer_sockets = 2"},
	"inbound.tunnel":   {`target = "127.0.0.1:2"`, "target = \"127.0.0.1:3\"\nmax_sessions = 7\nclient_sessions = 3"},
	"inbound.relay":    {relayOptions, relayOptions + "\nmax_sessions = 7\nclient_sessions = 3"},
	"outbound.direct":  {"", `allow = ["127.0.0.0/8"]`},
	"outbound.block":   {"", ""},
	"outbound.http":    {"server = \"127.0.0.1:1\"", "server = \"127.0.0.1:2\"\nuser = \"alice\""},
	"outbound.socks5":  {"server = \"127.0.0.1:1\"\nisolate = \"client\"", "server = \"127.0.0.1:2\"\nuser = \"alice\""},
	"outbound.chain":   {`chain = ["outbound.inner"]`, `chain = ["resolver.a", "outbound.inner"]`},
	"outbound.route":   {"rules = [\"r\"]\notherwise = [\"outbound.inner\"]", "rules = [\"r\"]\notherwise = [\"outbound.inner\"]\nremember = 7\nresolver = \"a\""},
	"rule.match":       {"chain = [\"outbound.inner\"]\ntargets = [\"a.test\"]", "chain = [\"outbound.inner\"]\ntargets = [\"b.test\"]"},
	"outbound.ss":      {"server = \"127.0.0.1:1\"\ncipher = \"own\"", "server = \"127.0.0.1:2\"\ncipher = \"own\""},
	"outbound.ssh":     {sshOptions, sshOptions + "connections = 2"},
	"transport.tls":    {"", `alpn = ["h2"]`},
	"resolver.dns":     {`servers = ["127.0.0.1:53"]`, "servers = [\"127.0.0.1:53\"]\ncache_entries = 2000\ncache_bytes = 65536"},
	"resolver.first":   {`resolvers = ["a", "b"]`, `resolvers = ["b", "a"]`},
	"resolver.hosts":   {`names = { "a.test" = ["192.0.2.1"] }`, `names = { "a.test" = ["192.0.2.2"] }`},
	"resolver.system":  {"", ""},
	"policy.acl":       {"", "default = \"deny\"\nallow_ports = [\"80\"]"},
	"policy.ban":       {"", "max_entries = 5\nwindow = \"1m\"\nstore = \"file:DIR/bans\""},
	"policy.limit":     {"connections_per_user = 5", "connections_per_user = 1\nbandwidth = \"1MiB/s\"\nmax_clients = 2\nstore = \"file:DIR/counts\""},
	"policy.replay":    {`store = "file:DIR/once"`, "store = \"file:DIR/once\"\nremember = \"1h\""},

	"outbound.balance":    {`members = ["inner", "inner2"]`, "members = [\"inner\", \"inner2\"]\nweights = [2, 1]\nfall = 1"},
	"outbound.failover":   {`members = ["inner", "inner2"]`, "members = [\"inner2\", \"inner\"]\non_switch = \"cut\""},
	"outbound.fastest":    {`members = ["inner", "inner2"]`, "members = [\"inner\"]\nprobe = { target = \"127.0.0.1:1\" }"},
	"outbound.select":     {`members = ["inner", "inner2"]`, "members = [\"inner\", \"inner2\"]\nfirst = \"inner2\"\nfile = \"DIR/choice\""},
	"transport.sip003":    {`plugin = "/bin/sh"`, "plugin = \"/bin/sh\"\noptions = \"tls\""},
	"transport.websocket": {"", `path = "/ws"`},
	"observer.accesslog":  {`output = "DIR/access.log"`, "output = \"DIR/other.log\"\nqueue = 16"},
}

const relayKey = "AAECAwQFBgcICQoLDA0ODw=="

const relayOptions = `cipher = "own"
next = { a = { key = "EBESExQVFhcYGRobHB0eHw==", server = "127.0.0.1:1" } }`

// optionsOf returns the tables of a kind, and false if it has none.
func optionsOf(s core.Section, info core.KindInfo) (options, bool) {
	if s != core.SectionCipher {
		o, ok := keptCases[string(s)+"."+info.Name]
		return o, ok
	}
	secret := func(fill byte) string {
		if size := keySize(info.Options); size > 0 {
			return base64.StdEncoding.EncodeToString(bytesOf(fill, size))
		}
		return strings.Repeat(string('a'+rune(fill)), 20)
	}
	text := fmt.Sprintf("password = %q\n", secret(1))
	has := func(key string) bool {
		for _, f := range config.Fields(info.Options) {
			if f.Key == key {
				return true
			}
		}
		return false
	}
	if has("insecure") {
		text += "insecure = true\n"
	}
	o := options{text, strings.ReplaceAll(text, secret(1), secret(5))}
	if has("users") {
		o.before += fmt.Sprintf("cut_removed = true\nusers = { alice = %q, bob = %q }\n", secret(2), secret(3))
		o.after += fmt.Sprintf("cut_removed = true\nusers = { bob = %q, carol = %q }\n", secret(3), secret(4))
	}
	if has("replay_file") {
		o.after += "replay_file = \"DIR/replay\"\n"
	}
	return o, true
}

func bytesOf(fill byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = fill
	}
	return b
}

// keySize returns the size of the key that a method takes in base64, 0 for none.
func keySize(options reflect.Type) int {
	for i := range options.NumField() {
		if f := options.Field(i); f.Type == reflect.TypeFor[core.About]() {
			n, _ := strconv.Atoi(f.Tag.Get("key"))
			return n
		}
	}
	return 0
}

// keptFile returns a file with a table of a kind, at the place where it works. Its
// inbound listens on at.
func keptFile(s core.Section, kind, text, at string) string {
	in := fmt.Sprintf("[inbound.in]\nkind = \"socks5\"\nlisten = %q\n", at)
	out, chain := "[outbound.out]\nkind = \"direct\"\n", `"inbound.in", "policy.spy"`
	table := fmt.Sprintf("[%s.x]\nkind = %q\n%s\n", s, kind, text)
	var rest string
	switch s {
	case core.SectionInbound:
		in = fmt.Sprintf("[inbound.in]\nkind = %q\nlisten = %q\n%s\n", kind, at, text)
		table = ""
	case core.SectionOutbound:
		out, table = fmt.Sprintf("[outbound.out]\nkind = %q\n%s\n", kind, text), ""
		if kind == "http" || kind == "ssh" { // carries no UDP
			in += "mode = \"tcp\"\n"
		}
	case core.SectionCipher:
		in = fmt.Sprintf("[inbound.in]\nkind = \"ss\"\nlisten = %q\ncipher = \"x\"\n", at)
	case core.SectionTransport:
		out = "[outbound.out]\nkind = \"ss\"\nserver = \"127.0.0.1:1\"\ncipher = \"own\"\ntransport = [\"x\"]\n"
		in += "mode = \"tcp\"\n"
	case core.SectionResolver:
		chain += `, "resolver.x"`
	case core.SectionPolicy:
		chain = policyChain(kind)
	case core.SectionObserver:
		chain = `"observer.x", ` + chain
	case core.SectionRule:
		out = "[outbound.out]\nkind = \"route\"\nrules = [\"x\"]\notherwise = [\"outbound.inner\"]\n"
	}
	rest = "[outbound.inner]\nkind = \"block\"\n[outbound.inner2]\nkind = \"block\"\n[rule.r]\nports = [\"1\"]\nchain = [\"outbound.inner\"]\n"
	for _, other := range []string{"a", "b"} {
		rest += fmt.Sprintf("[resolver.%s]\nkind = \"hosts\"\nnames = { \"%[1]s.test\" = [\"192.0.2.1\"] }\n", other)
	}
	return "[pipeline.p]\nchain = [" + chain + ", \"outbound.out\"]\n" + in + out + table + rest +
		"[policy.spy]\nkind = \"spy\"\n[cipher.own]\nkind = \"2022-blake3-aes-128-gcm\"\npassword = \"" + relayKey + "\"\n"
}

// policyChain returns the beginning of a chain with a policy where its role has it.
func policyChain(kind string) string {
	if kind == "ban" || kind == "limit" {
		return `"policy.x", "inbound.in", "policy.spy"`
	}
	return `"inbound.in", "policy.spy", "policy.x"`
}

// TestRefusedFileChangesNothing runs a file with each kind, and has another one refused:
// for a mistake that building finds elsewhere in it, and because an address is taken.
// What the process keeps, and which addresses it listens on, is the same afterwards.
func TestRefusedFileChangesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	reg := standard()
	for _, s := range core.Sections() {
		for _, kind := range reg.Section(s).Names() {
			t.Run(string(s)+"."+kind, func(t *testing.T) {
				info, _ := reg.Section(s).Describe(kind)
				o, ok := optionsOf(s, info)
				if !ok {
					t.Fatal("no tables in keptCases; add one before and one after an edit that changes what the kind keeps")
				}
				at, dir := coretest.FreeAddr(t).String(), filepath.ToSlash(t.TempDir())
				before, after := keptFile(s, kind, o.before, at), keptFile(s, kind, o.after, at)
				var changed []string
				for every := 5 * time.Millisecond; every < time.Second; every *= 10 { // longer where the machine is busy
					w := startKept(t, before, dir)
					changed = w.refuse(after, taken.Addr().String(), every)
					w.shutdown()
					if changed == nil {
						return
					}
				}
				t.Errorf("a file that was refused changed what the running one has:\n%s", strings.Join(changed, "\n"))
			})
		}
	}
}

// refuse has text refused, and returns what that changed.
func (w *keptWorld) refuse(text, taken string, every time.Duration) (changed []string) {
	w.t.Helper()
	had, ports := w.settle(every), netio.SocketsOf(w.spy.process).Ports()
	compare := func(why string) {
		for key, now := range coretest.Kept(w.spy.process) {
			if was := had[key]; was != now {
				changed = append(changed, fmt.Sprintf("%s: %s was\n%s\nis\n%s", why, key, was, now))
			}
		}
		if now := netio.SocketsOf(w.spy.process).Ports(); fmt.Sprint(now) != fmt.Sprint(ports) {
			changed = append(changed, fmt.Sprintf("%s: listened on %v, listens on %v", why, ports, now))
		}
	}
	if err := engine.Check(w.reg, w.parse(text), slog.New(slog.DiscardHandler)); err != nil {
		w.t.Errorf("check: %v", err)
	}
	compare("checked")
	w.spy.errBad = errors.New("a mistake")
	if err := w.engine.Reload(w.t.Context(), w.parse(text)); err == nil {
		w.t.Error("a file with a mistake was served")
	}
	w.spy.errBad = nil
	compare("a mistake elsewhere")
	more := "[pipeline.more]\nchain = [\"inbound.more\", \"outbound.out\"]\n[inbound.more]\nkind = \"socks5\"\nlisten = \"" + taken + "\"\nmode = \"tcp\"\n"
	if err := w.engine.Reload(w.t.Context(), w.parse(text+more)); err == nil {
		w.t.Error("a file with an address that is taken was served")
	}
	compare("an address that is taken")
	return changed
}
