package balance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// member is an outbound that opens one stream again and again, or fails.
type member struct {
	*coretest.Dialer
	err error
}

func (m *member) Over(core.Dialer) (core.Dialer, error) { return m, nil }

// world is a group of members a, b, c…, one for each weight.
type world struct {
	t       testing.TB
	dialer  core.Dialer
	group   *group.Group
	members []*member
}

func newWorld(t testing.TB, by string, weights ...int) *world {
	t.Helper()
	env, graph := coretest.Env(t), coretest.Graph{}
	o := Options{By: by, Weights: weights}
	o.Options = group.Options{Attempts: 2, Fall: 3, Rise: 2, Rest: option.Duration(30e9), AllDown: "try", OnSwitch: "leave"}
	w := &world{t: t}
	near, _ := coretest.Pipe()
	for i := range weights {
		name := core.Ref[core.Outbound](string(rune('a' + i)))
		m := &member{Dialer: coretest.NewDialer()}
		m.Stream = func(context.Context, *core.Request) (core.Stream, error) { return near, m.err }
		graph[name] = m
		o.Members, w.members = append(o.Members, name), append(w.members, m)
	}
	env.Graph = graph
	out, err := New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	w.group = out.(*group.Group)
	if w.dialer, err = out.Over(coretest.NewDialer()); err != nil {
		t.Fatal(err)
	}
	return w
}

// open opens a stream and returns the member that it goes through, and the end of the stream.
func (w *world) open(r core.Request) (string, func()) {
	w.t.Helper()
	r.Network, r.Flow = core.TCP, new(core.Flow)
	if _, err := w.dialer.DialStream(w.t.Context(), &r); err != nil {
		w.t.Fatal(err)
	}
	r.Flow.Down.Add(1)
	return r.Flow.Chosen()[0][len("outbound."):], r.Flow.End
}

// by returns the member of a request whose stream ends at once.
func (w *world) by(r core.Request) string {
	w.t.Helper()
	m, end := w.open(r)
	end()
	return m
}

// client returns a request of the nth client.
func client(n int) core.Request {
	return core.Request{
		Client: core.Client{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 4711)},
		User:   fmt.Sprintf("user%d", n),
		Target: core.AddrFrom(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, byte(n >> 16), byte(n >> 8), byte(n)}), 80)),
	}
}

// TestWeights sends 10,000 requests: each member has its weight's part of them, within 2 %.
func TestWeights(t *testing.T) {
	for _, by := range []string{"turn", "client", "user", "target", "least"} {
		for _, weights := range [][]int{{1, 1}, {2, 1}, {5, 3, 1, 1}} {
			t.Run(fmt.Sprint(by, weights), func(t *testing.T) {
				const requests = 10_000
				w := newWorld(t, by, weights...)
				total, got := 0, map[string]int{}
				for _, weight := range weights {
					total += weight
				}
				for n := range requests {
					m, end := w.open(client(n))
					got[m]++
					if by != "least" { // which counts those that run
						end()
					}
				}
				for i, weight := range weights {
					part := float64(got[string(rune('a'+i))]) / requests
					if want := float64(weight) / float64(total); math.Abs(part-want) > 0.02 {
						t.Errorf("member %c: got %.3f of the requests, want %.3f", 'a'+i, part, want)
					}
				}
			})
		}
	}
}

// TestTurns has members of different weights take turns from the first request on.
func TestTurns(t *testing.T) {
	w := newWorld(t, "turn", 2, 1)
	for range 100 {
		got := map[string]int{}
		for range 6 {
			got[w.by(client(0))]++
		}
		if got["a"] < 3 || got["b"] < 1 {
			t.Errorf("got %v of six requests in a row", got)
		}
	}
}

// TestSame has the same client, user or target get the same member, in every process; when a
// member is out, its own alone move, and then come back.
func TestSame(t *testing.T) {
	for _, by := range []string{"client", "user", "target"} {
		t.Run(by, func(t *testing.T) {
			w, other := newWorld(t, by, 1, 1, 1), newWorld(t, by, 1, 1, 1)
			before := map[int]string{}
			for n := range 300 {
				before[n] = w.by(client(n))
				if again := w.by(client(n)); again != before[n] || other.by(client(n)) != before[n] {
					t.Fatalf("%d: got %s, then %s", n, before[n], again)
				}
			}
			w.members[1].err = errors.New("down")
			for n := range 300 {
				now := w.by(client(n))
				if before[n] != "b" && now != before[n] || now == "b" {
					t.Errorf("%d: was at %s, is at %s", n, before[n], now)
				}
			}
			if !w.group.Members()[1].IsOut() {
				t.Error("the member is not out")
			}
		})
	}
}

// TestKeys tells requests that go together from those that don't.
func TestKeys(t *testing.T) {
	at := func(addr string) *core.Request {
		return &core.Request{Client: core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 1)}}
	}
	if byClient(at("2001:db8::1")) != byClient(at("2001:db8::2")) || byClient(at("2001:db8::1")) == byClient(at("2001:db8:0:1::1")) {
		t.Error("IPv6 clients: want one key for each /64")
	}
	if byClient(at("192.0.2.1")) == byClient(at("192.0.2.2")) {
		t.Error("two IPv4 clients have one key")
	}
	if byUser(at("192.0.2.1")) != byClient(at("192.0.2.1")) {
		t.Error("a request without a user: want the client's key")
	}
	name := func(name string, port uint16) *core.Request {
		a, err := core.NewAddr(name, port)
		if err != nil {
			t.Fatal(err)
		}
		return &core.Request{Network: core.TCP, Target: a}
	}
	if byTarget(name("A.example", 80)) != byTarget(name("a.example", 443)) || byTarget(name("a.example.", 80)) != byTarget(name("a.example", 80)) || byTarget(name("a.example", 80)) == byTarget(name("b.example", 80)) {
		t.Error("targets: want one key for each host")
	}
	if (&core.Request{}).Client.Addr.IsValid() || byClient(&core.Request{}) == 0 {
		t.Error("a request without a client")
	}
}

// TestLeast picks the member with the fewest connections.
func TestLeast(t *testing.T) {
	w := newWorld(t, "least", 1, 1)
	ends := map[string][]func(){}
	for range 10 {
		m, end := w.open(client(0))
		ends[m] = append(ends[m], end)
	}
	if len(ends["a"]) != 5 || len(ends["b"]) != 5 {
		t.Fatalf("got %d and %d", len(ends["a"]), len(ends["b"]))
	}
	for _, end := range ends["b"] {
		end()
	}
	for range 5 {
		if m, _ := w.open(client(0)); m != "b" {
			t.Errorf("got %s, want the one with fewer connections", m)
		}
	}
}

// TestMistakes are of options.
func TestMistakes(t *testing.T) {
	o := Options{By: "turn", Weights: []int{1, 2}}
	o.Members = []core.Ref[core.Outbound]{"a"}
	_, err := New(coretest.Env(t), o)
	if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != "weights" {
		t.Errorf("got %v, want an error at weights", err)
	}
}

// BenchmarkPick picks by each way among three members.
func BenchmarkPick(b *testing.B) {
	for _, by := range []string{"turn", "client", "target", "least"} {
		b.Run(by, func(b *testing.B) {
			g := newWorld(b, by, 3, 2, 1)
			r := client(7)
			p := map[string]group.Picker{
				"turn": &turn{balance: balance{[]int{3, 2, 1}}}, "client": &same{balance{[]int{3, 2, 1}}, byClient},
				"target": &same{balance{[]int{3, 2, 1}}, byTarget}, "least": &least{balance: balance{[]int{3, 2, 1}}},
			}[by]
			b.ReportAllocs()
			for b.Loop() {
				p.Pick(group.Question{Request: &r}, g.group.Members())
			}
		})
	}
}
