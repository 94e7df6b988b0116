package manager

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert/converttest"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	for _, tc := range []struct{ datagram, want string }{
		{"ping", "ping"},
		{" list\r\n\x00", "list"},
		{`add: {"server_port":8381,"password":"pw"}`, `add 8381 {Password:pw}`},
		{`add:{"server_port":"8381","password":"pw","method":"m","mode":"tcp_only"}`, `add 8381 {Password:pw Method:m Mode:tcp}`},
		{`add: {"server_port":1,"password":"p","plugin":"x","plugin_opts":"a;b","plugin_mode":"udp_only","users":[{"name":"u","password":"v"}],"zz":1,"timeout":3,"no_delay":true}`,
			`add 1 {Password:p Plugin:x Options:a;b Carries:udp_only Users:[{u v}]} ignored: timeout zz`},
		{`remove: {"server_port":65535}`, "remove 65535"},
		{`add: {"server_port":8381}`, "error: add: no password"},
		{`add: {"server_port":8381,"password":""}`, "error: add: no password"},
		{`add: {"server_port":0,"password":"p"}`, "error: add: server_port is not from 1 to 65535"},
		{`add: {"server_port":65536,"password":"p"}`, "error: add: server_port is not from 1 to 65535"},
		{`add: {"server_port":8381.5,"password":"p"}`, "error: add: server_port is not from 1 to 65535"},
		{`add: {"password":"p"}`, "error: add: server_port is not from 1 to 65535"},
		{`add: {"server_port":1,"password":"p","mode":"all"}`, `error: add: unknown mode "all"`},
		{`add: {"server_port":1,"password":"p","users":[{"name":"u"}]}`, "error: add: a user without a name or a password"},
		{`add: {"server_port":1,"password":"p"} x`, "error: its JSON can't be read"},
		{`remove: {bad`, "error: its JSON can't be read"},
		{`remove`, "error: remove has no port"},
		{`stat: {"8381":1}`, `error: unknown command "stat"`},
		{``, `error: unknown command ""`},
	} {
		r, err := parse([]byte(tc.datagram))
		if got := shown(r, err); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.datagram, got, tc.want)
		}
	}
}

// shown is a request as text, without what it does not have.
func shown(r request, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	text := string(r.command)
	if r.number != 0 {
		text += fmt.Sprintf(" %d", r.number)
	}
	if p := r.port; p.Password != "" {
		var parts []string
		for _, f := range []struct{ name, value string }{{"Password", p.Password}, {"Method", p.Method}, {"Mode", p.Mode}, {"Plugin", p.Plugin}, {"Options", p.Options}, {"Carries", p.Carries}} {
			if f.value != "" {
				parts = append(parts, f.name+":"+f.value)
			}
		}
		if len(p.Users) > 0 {
			parts = append(parts, fmt.Sprintf("Users:%v", p.Users))
		}
		text += " {" + strings.Join(parts, " ") + "}"
	}
	if len(r.ignored) > 0 {
		text += " ignored: " + strings.Join(r.ignored, " ")
	}
	return text
}

// FuzzParse: whatever comes is a request or an error, and a port that is taken makes a
// document that can be read.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"ping", "list", `add: {"server_port":8381,"password":"pw"}`, `add: {"server_port":"1","password":"\u0000\"","plugin":"a\nb","users":[{"name":"x y","password":"1"}]}`, `remove: {"server_port":1}`} {
		f.Add([]byte(s))
	}
	reg := converttest.Registry()
	m := table()
	f.Fuzz(func(t *testing.T, datagram []byte) {
		r, err := parse(datagram)
		if err != nil || r.command != cmdAdd {
			return
		}
		text, err := ports{r.number: &r.port}.document(reg, m)
		if err != nil {
			return
		}
		if _, err := config.Parse("fuzz", []byte("[outbound.direct]\n"+text), reg); err != nil && strings.Contains(err.Error(), "TOML") {
			t.Errorf("%v\n%s", err, text)
		}
	})
}

func table() config.Manager {
	return config.Manager{Listen: "/m.sock", Dialect: "libev", Host: []string{"127.0.0.1"}, Method: "aes-256-gcm", Mode: option.Mode("both"), Chain: []string{"outbound.direct"}, Ports: 3}
}

// fake is a Service whose file has an outbound direct.
type fake struct {
	reg    *core.Registry
	busy   string // a text of what can't be served
	served []string
	moved  map[string]uint64
	cut    []string
	before func() // what the service does before a change
}

func (f *fake) Serve(text func() (string, error), adopted func()) error {
	if f.before != nil {
		f.before()
	}
	beside, err := text()
	if err != nil {
		return err
	}
	if _, err := config.Parse("ports", []byte("[manager]\nlisten = \"/m.sock\"\nchain = [\"outbound.direct\"]\n[outbound.direct]\n"+beside), f.reg); err != nil {
		return err
	}
	if f.busy != "" && strings.Contains(beside, f.busy) {
		return fmt.Errorf("%w: taken", ErrBusy)
	}
	f.served = append(f.served, beside)
	adopted()
	return nil
}

func (f *fake) Moved() map[string]uint64 { return maps.Clone(f.moved) }
func (f *fake) Cut(pipeline string)      { f.cut = append(f.cut, pipeline) }

func newFake(t *testing.T) (*fake, *Ports) {
	t.Helper()
	f := &fake{reg: converttest.Registry(), moved: map[string]uint64{}}
	ps := NewPorts(f.reg, f, slog.New(slog.DiscardHandler))
	if err := ps.Begin(table()); err != nil {
		t.Fatal(err)
	}
	return f, ps
}

func add(number int, password string) request {
	return request{command: cmdAdd, number: number, port: port{Password: password}}
}

func remove(number int) request { return request{command: cmdRemove, number: number} }

// Requests that came together are one change; if it fails, each of them is tried.
func TestDo(t *testing.T) {
	f, ps := newFake(t)
	if errs := ps.do([]request{add(1, "one"), add(2, "two")}); errors.Join(errs...) != nil || len(f.served) != 1 {
		t.Fatalf("got %v by %d changes, want one", errs, len(f.served))
	}
	f.busy = ":8"
	errs := ps.do([]request{remove(1), add(8, "taken"), add(3, "three"), {command: cmdAdd, number: 4, port: port{Password: "x", Method: "no-such-method"}}})
	if errs[0] != nil || !errors.Is(errs[1], ErrBusy) || errs[2] != nil || errs[3] == nil || errors.Is(errs[3], ErrBusy) {
		t.Errorf("got %v", errs)
	}
	if got := ps.open.numbers(); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("open are %v", got)
	}
	if !slices.Equal(f.cut, []string{"port-1"}) {
		t.Errorf("cut %v", f.cut)
	}
	last := f.served[len(f.served)-1]
	if strings.Contains(last, "port-1]") || !strings.Contains(last, "[pipeline.port-3]") {
		t.Errorf("served\n%s", last)
	}
	before := len(f.served)
	if errs := ps.do([]request{add(2, "two"), remove(77)}); errors.Join(errs...) != nil || len(f.served) != before {
		t.Errorf("nothing new: got %v and another change", errs)
	}
	if errs := ps.do([]request{add(5, "x"), add(6, "y")}); errs[0] != nil || !errors.Is(errs[1], errCrowd) {
		t.Errorf("over the bound: got %v", errs)
	}
	if errs := ps.do([]request{add(2, "another")}); errs[0] != nil || !slices.Equal(f.cut, []string{"port-1", "port-2"}) {
		t.Errorf("another password: got %v, cut %v", errs, f.cut)
	}
}

// A file may be read again while a change waits for the service: the change then has the new
// table, and the file the ports of before.
func TestReloadMeanwhile(t *testing.T) {
	f, ps := newFake(t)
	ps.do([]request{add(1, "one")})
	f.before = func() {
		m := table()
		m.Method = "aes-128-gcm"
		ps.Adopt(m)
		if beside, err := ps.Beside(m); err != nil || !strings.Contains(beside, "port-1]") || strings.Contains(beside, "port-2]") {
			t.Errorf("got %v\n%s", err, beside)
		}
	}
	if errs := ps.do([]request{add(2, "two")}); errs[0] != nil {
		t.Fatal(errs)
	}
	if last := f.served[len(f.served)-1]; strings.Count(last, `kind = "aes-128-gcm"`) != 2 {
		t.Errorf("served\n%s", last)
	}
}

// Begin opens the ports of the table, and leaves those that were added.
func TestBegin(t *testing.T) {
	_, ps := newFake(t)
	ps.do([]request{add(1, "one")})
	m := table()
	m.Passwords = map[string]option.Text{"1": "not this one", "9": "nine"}
	if err := ps.Begin(m); err != nil {
		t.Fatal(err)
	}
	if ps.open[1].Password != "one" || ps.open[9].Password != "nine" {
		t.Errorf("got %+v, %+v", ps.open[1], ps.open[9])
	}
}

// Traffic is counted from when a port was added, and told until somebody has it.
func TestTraffic(t *testing.T) {
	f, ps := newFake(t)
	f.moved["port-1"] = 1000 // of an earlier port with this number
	ps.do([]request{add(1, "one"), add(2, "two")})
	f.moved["port-1"] += 70
	if got := string(ps.stat()); got != `stat: {"1":70,"2":0}` {
		t.Errorf("got %s", got)
	}
	tell := func(arrives bool) string {
		var all []string
		ps.told(func(b []byte) bool { all = append(all, string(b)); return arrives })
		return strings.Join(all, " ")
	}
	if got := tell(false); got != `stat: {"1":70}` {
		t.Errorf("got %s", got)
	}
	f.moved["port-1"] += 5
	f.moved["port-2"] += 7
	if got := tell(true); got != `stat: {"1":75,"2":7}` {
		t.Errorf("after what was lost: got %s", got)
	}
	f.moved["port-2"] += 3
	ps.do([]request{remove(2)})
	if got := tell(true); got != `stat: {"2":3}` {
		t.Errorf("of a removed port: got %s", got)
	}
	if got := tell(true); got != "" {
		t.Errorf("nothing new: got %s", got)
	}
	counts := map[int]uint64{}
	for i := range 120 {
		counts[65000+i] = 1 << 63
	}
	texts, _ := datagrams(counts)
	if len(texts) != 3 || len(texts[0]) > 1506 {
		t.Errorf("got %d datagrams, the first of %d bytes", len(texts), len(texts[0]))
	}
}

// CheckTable tells what a port would be if that has a mistake.
func TestCheckTable(t *testing.T) {
	reg := converttest.Registry()
	check := func(chain, listen string) error {
		text := fmt.Sprintf("[manager]\nlisten = \"/m.sock\"\nchain = [%q]\n[outbound.direct]\n[pipeline.p]\nchain = [\"inbound.socks5\", \"outbound.direct\"]\n[inbound.socks5]\nlisten = %q\n", chain, listen)
		f, err := config.Parse("a.toml", []byte(text), reg)
		if err != nil {
			t.Fatal(err)
		}
		return CheckTable(reg, f, func(beside string) error {
			_, err := config.Parse("ports", []byte(text+beside), reg)
			return err
		})
	}
	if err := check("outbound.direct", "127.0.0.1:65535"); err != nil {
		t.Error(err)
	}
	if err := check("outbound.nosuch", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "no [outbound.nosuch]") || !strings.Contains(err.Error(), "[inbound.port-65535]") {
		t.Errorf("got %v", err)
	}
}
