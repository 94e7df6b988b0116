package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// world is a registry of tiny kinds, and what they did.
type world struct {
	reg     core.Registry
	fails   map[string]error // of Shutdown, by component
	release chan struct{}    // what the Serve of a late inbound waits for
	down    chan string      // components that were shut down; room for all

	mu     sync.Mutex
	events []string // guarded by mu
}

func newWorld() *world {
	w := &world{fails: map[string]error{}, release: make(chan struct{}), down: make(chan string, 1024)}
	core.Add(&w.reg.Inbound, "tiny", w.newInbound)
	core.Add(&w.reg.Outbound, "echo", w.newOutbound)
	core.Add(&w.reg.Cipher, "key", w.newCipher)
	core.Add(&w.reg.Resolver, "names", func(core.Env, struct{}) (core.Resolver, error) {
		return &coretest.Resolver{Names: map[string][]netip.Addr{"name.test": {netip.MustParseAddr("192.0.2.9")}}}, nil
	})
	core.Add(&w.reg.Policy, "gate", func(env core.Env, _ struct{}) (core.Policy, error) { return gate{w.part(env)}, nil })
	core.Add(&w.reg.Policy, "middleware", func(env core.Env, _ struct{}) (core.Policy, error) { return middleware{w.part(env)}, nil })
	core.Add(&w.reg.Policy, "both", func(env core.Env, _ struct{}) (core.Policy, error) {
		return struct {
			gate
			middleware
		}{gate{w.part(env)}, middleware{w.part(env)}}, nil
	})
	core.Add(&w.reg.Observer, "observer", func(env core.Env, _ struct{}) (core.Observer, error) { return observer{}, nil })
	core.Add(&w.reg.Policy, "observer", func(env core.Env, _ struct{}) (core.Policy, error) { return observer{}, nil })
	core.Add(&w.reg.Policy, "void", func(env core.Env, _ struct{}) (core.Policy, error) { return misspelt{}, nil })
	core.Add(&w.reg.Policy, "dead-end", func(env core.Env, _ struct{}) (core.Policy, error) { return deadEnd{}, nil })
	return w
}

// note records an event.
func (w *world) note(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
}

// noted returns the events so far.
func (w *world) noted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// part is what all tiny components have.
type part struct {
	world *world
	id    string
}

func (w *world) part(env core.Env) part { return part{w, string(env.Section) + "." + env.Name} }

func (p part) Shutdown(context.Context) error {
	p.world.note("down " + p.id)
	p.world.down <- p.id
	return p.world.fails[p.id]
}

// mistakes are options that make a constructor fail.
type mistakes struct {
	Cipher core.Ref[core.Cipher] `toml:"cipher" help:"a cipher"`
	Wrong  string                `toml:"wrong" help:"text of a mistake in this option"`
	Worse  string                `toml:"worse" help:"text of another"`
	Panic  string                `toml:"panic" help:"what to panic with"`
}

func (m mistakes) check(env core.Env) error {
	if m.Panic != "" {
		panic(m.Panic)
	}
	if m.Cipher != "" {
		if _, err := m.Cipher.Get(env); err != nil {
			return err
		}
	}
	var errs []error
	if m.Wrong != "" {
		errs = append(errs, core.BadOption("wrong", "%s", m.Wrong))
	}
	if m.Worse != "" {
		errs = append(errs, core.BadOption("worse", "%s", m.Worse))
	}
	return errors.Join(errs...)
}

type cipher struct {
	core.Cipher
	part
}

func (w *world) newCipher(env core.Env, o mistakes) (core.Cipher, error) {
	return cipher{part: w.part(env)}, o.check(env)
}

type inboundOptions struct {
	mistakes
	Listen option.ListenList `toml:"listen" required:"true" help:"address"`
	Late   bool              `toml:"late" help:"serve when told to"`
	Breaks bool              `toml:"breaks" help:"stop serving with an error"`
}

// inbound reads one byte as the request of each client.
type fakeInbound struct {
	*inbound.Server
	part
	o      inboundOptions
	target core.Addr
}

func (w *world) newInbound(env core.Env, o inboundOptions) (core.Inbound, error) {
	in := &fakeInbound{part: w.part(env), o: o}
	in.target, _ = core.NewAddr("name.test", 443)
	in.Server = inbound.NewServer(inbound.ServerConfig{
		Env: env, Listen: o.Listen, Timeout: time.Hour, Max: 100, PerClient: 100,
		Handshake: func(_ context.Context, conn core.Stream, _ core.Client, next inbound.Requests) error {
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				return err
			}
			next.Stream(&core.Request{Target: in.target}, pending{conn})
			return nil
		},
		Fail: func(core.Stream, time.Time, error) {},
	})
	return in, o.check(env)
}

func (in *fakeInbound) Serve(ctx context.Context, h core.Handler) error {
	if in.o.Breaks {
		return errors.New("broken")
	}
	if in.o.Late {
		<-in.world.release
	}
	return in.Server.Serve(ctx, h)
}

func (in *fakeInbound) Shutdown(ctx context.Context) error {
	err := in.Server.Shutdown(ctx)
	return errors.Join(err, in.part.Shutdown(ctx))
}

type pending struct{ core.Stream }

func (p pending) Accept() (core.Stream, error) { return p.Stream, nil }
func (p pending) Reject(error)                 { p.Close() }

type outboundOptions struct {
	mistakes
	Via      core.Ref[core.Outbound] `toml:"via" help:"another outbound"`
	Greeting string                  `toml:"greeting" default:"a" help:"what each stream begins with"`
	First    bool                    `toml:"first" help:"be the first hop only"`
	Refuses  string                  `toml:"refuses" help:"text of a mistake that Over finds"`
	Nothing  bool                    `toml:"nothing" help:"make no dialer"`
}

// outbound answers each stream itself, with a greeting and then with what came,
// unless there is a hop before it.
type outbound struct {
	part
	o outboundOptions
}

func (w *world) newOutbound(env core.Env, o outboundOptions) (core.Outbound, error) {
	if o.Via != "" {
		if _, err := o.Via.Get(env); err != nil {
			return nil, err
		}
	}
	return outbound{w.part(env), o}, o.check(env)
}

func (o outbound) Over(wire core.Dialer) (core.Dialer, error) {
	if o.o.Refuses != "" {
		return nil, errors.New(o.o.Refuses)
	}
	if o.o.Nothing {
		return nil, nil
	}
	if _, first := wire.(dial.Net); !first {
		if o.o.First {
			return nil, core.ErrFirstHop
		}
		return dialer{o.part, wire}, nil
	}
	d := coretest.NewDialer()
	d.Stream = func(context.Context, *core.Request) (core.Stream, error) {
		near, far := coretest.Pipe()
		go func() {
			defer far.Close()
			if _, err := far.Write([]byte(o.o.Greeting)); err == nil {
				_, _ = io.Copy(far, far)
			}
		}()
		return near, nil
	}
	return dialer{o.part, d}, nil
}

// dialer notes what it dials.
type dialer struct {
	part
	next core.Dialer
}

func (d dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	d.world.note(fmt.Sprintf("dial %s %s %v", d.id, r.Target, r.IPs))
	return d.next.DialStream(ctx, r)
}

func (d dialer) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return nil, core.ErrNoPackets
}

func (d dialer) CheckPackets() error { return d.next.CheckPackets() }

func (d dialer) PayloadWait(*core.Request) time.Duration { return 0 }

type middleware struct{ policy part }

func (m middleware) Wrap(next core.Dialer) core.Dialer { return dialer{m.policy, next} }

type gate struct{ p part }

func (g gate) Admit(core.Client) error { g.p.world.note("admit " + g.p.id); return nil }
func (g gate) Observe(core.Event)      {}

// parse reads a file for the world's kinds. @1, @2 and so on are addresses.
func (w *world) parse(t testing.TB, text string, at ...netip.AddrPort) *config.File {
	t.Helper()
	for i, a := range at {
		text = strings.ReplaceAll(text, "@"+string(rune('1'+i)), a.String())
	}
	f, err := config.Parse("f", []byte(text), &w.reg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// one is a file with one pipeline.
const one = `
[pipeline.p]
chain = ["inbound.in", "outbound.out"]
[inbound.in]
kind = "tiny"
listen = "@1"
[outbound.out]
kind = "echo"
cipher = "k"
[cipher.k]
kind = "key"
`

// A stream goes through the stages from the left to the right, and then through
// the hops: the last one dials over the one before it.
func TestChainOrder(t *testing.T) {
	for _, tc := range []struct {
		name, chain string
		want        []string
	}{
		{"one hop", `"inbound.in", "outbound.a"`, []string{"dial outbound.a []"}},
		{"three hops", `"inbound.in", "outbound.a", "outbound.b", "outbound.c"`,
			[]string{"dial outbound.c []", "dial outbound.b []", "dial outbound.a []"}},
		{"gates", `"policy.g", "policy.h", "inbound.in", "outbound.a"`,
			[]string{"admit policy.g", "admit policy.h", "dial outbound.a []"}},
		{"middleware", `"inbound.in", "policy.m", "policy.n", "outbound.a"`,
			[]string{"dial policy.m []", "dial policy.n []", "dial outbound.a []"}},
		{"observers", `"policy.o", "inbound.in", "outbound.a"`, []string{"dial outbound.a []"}},
		{"an observer after the inbound", `"inbound.in", "policy.o", "outbound.a"`, []string{"dial outbound.a []"}},
		{"an observer of its own section", `"observer.log", "inbound.in", "outbound.a"`, []string{"dial outbound.a []"}},
		{"the same after the inbound", `"inbound.in", "observer.log", "outbound.a"`, []string{"dial outbound.a []"}},
		{"both first", `"policy.x", "inbound.in", "policy.m", "outbound.a"`,
			[]string{"admit policy.x", "dial policy.x []", "dial policy.m []", "dial outbound.a []"}},
		{"a resolver between", `"inbound.in", "policy.m", "resolver.r", "policy.n", "outbound.a"`,
			[]string{"dial policy.m []", "dial policy.n [192.0.2.9]", "dial outbound.a [192.0.2.9]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, at := newWorld(), coretest.FreeAddr(t)
			w.start(t, "[pipeline.p]\nchain = ["+tc.chain+"]\n"+stages, at)
			conn := open(t, at, "a")
			echo(t, conn)
			conn.Close()
			var got []string
			for _, event := range w.noted() {
				got = append(got, strings.Replace(event, "name.test:443 ", "", 1))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// stages are components for chains.
const stages = `
[inbound.in]
kind = "tiny"
listen = "@1"
[outbound]
a = { kind = "echo" }
b = { kind = "echo" }
c = { kind = "echo" }
first = { kind = "echo", first = true }
picky = { kind = "echo", refuses = "no wire is good enough" }
nothing = { kind = "echo", nothing = true }
[policy]
g = { kind = "gate" }
h = { kind = "gate" }
m = { kind = "middleware" }
n = { kind = "middleware" }
x = { kind = "both" }
o = { kind = "observer" }
dead = { kind = "dead-end" }
[resolver.r]
kind = "names"
[observer.log]
kind = "observer"
`

func TestChainMistakes(t *testing.T) {
	for _, tc := range []struct {
		name, chain, want string
	}{
		{"direct after a hop", `"inbound.in", "outbound.a", "outbound.first"`,
			`f:2:38: pipeline.p.chain: outbound.first can only be the first hop of a chain: it reaches targets from this machine, whatever stands before it; move it to the front or leave it out`},
		{"an outbound that refuses its wire", `"inbound.in", "outbound.picky"`,
			`f:2:24: pipeline.p.chain: no wire is good enough`},
		{"an outbound that makes nothing", `"inbound.in", "outbound.nothing"`,
			`f:2:24: pipeline.p.chain: outbound.nothing made neither a dialer nor an error`},
		{"middleware that makes nothing", `"inbound.in", "policy.dead", "outbound.a"`,
			`f:2:24: pipeline.p.chain: policy.dead made no dialer`},
		{"a gate after the inbound", `"inbound.in", "policy.g", "outbound.a"`,
			`f:2:24: pipeline.p.chain: policy.g stands after the inbound, but it is asked before a client's first byte is read; move it before inbound.in`},
		{"both after the inbound", `"inbound.in", "policy.x", "outbound.a"`,
			`f:2:24: pipeline.p.chain: policy.x stands after the inbound, but it is asked before a client's first byte is read; move it before inbound.in`},
		{"middleware before the inbound", `"policy.m", "inbound.in", "outbound.a"`,
			`f:2:10: pipeline.p.chain: policy.m stands before inbound.in, but it needs the target that the inbound reads; move it after`},
		{"all at once", `"policy.m", "inbound.in", "policy.g", "outbound.a", "outbound.first"`,
			`f:2:10: pipeline.p.chain: policy.m stands before inbound.in, but it needs the target that the inbound reads; move it after
f:2:36: pipeline.p.chain: policy.g stands after the inbound, but it is asked before a client's first byte is read; move it before inbound.in
f:2:62: pipeline.p.chain: outbound.first can only be the first hop of a chain: it reaches targets from this machine, whatever stands before it; move it to the front or leave it out`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			f := w.parse(t, "[pipeline.p]\nchain = ["+tc.chain+"]\n"+stages, coretest.FreeAddr(t))
			if err := engine.Check(&w.reg, f, coretest.Log(t)); err == nil || err.Error() != tc.want {
				t.Errorf("got\n%v\nwant\n%s", err, tc.want)
			}
		})
	}
}
