package limit

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should happen at once; tests that pass don't wait for it.
const patience = 20 * time.Second

// policy returns a policy.
func policy(t testing.TB, env core.Env, o Options) *Policy {
	t.Helper()
	if o.QuotaResetDay == 0 {
		o.QuotaResetDay = 1
	}
	if o.MaxClients == 0 {
		o.MaxClients = 1000
	}
	if o.UDPIdle == 0 {
		o.UDPIdle = option.Timeout(10 * time.Second)
	}
	p, err := New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Policy)
}

// run has a policy work until stop is called or the test ends.
func run(t testing.TB, p *Policy) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// strict bounds all there is.
func strict() Options {
	return Options{
		ConnectionsPerClient: 1000, ConnectionsPerUser: 1000, NewPerSecondPerClient: 1000, NewPerSecondPerUser: 1000,
		BandwidthPerUser: option.Bandwidth{Up: 1 << 30, Down: 1 << 30}, Bandwidth: option.Bandwidth{Up: 1 << 30, Down: 1 << 30}, QuotaPerUser: 1 << 40, Nameless: true,
	}
}

func TestGateConforms(t *testing.T) {
	coretest.TestGate(t, func(t testing.TB) core.Gate { return policy(t, coretest.Env(t), strict()) })
}

func TestMiddlewareConforms(t *testing.T) {
	coretest.TestMiddleware(t, func(t testing.TB) core.Middleware { return policy(t, coretest.Env(t), strict()) })
}

func TestNewErrors(t *testing.T) {
	good := Options{QuotaResetDay: 1, MaxClients: 1, UDPIdle: option.Off}
	user := func(u User) func(*Options) {
		return func(o *Options) { o.Users = map[string]User{"alice": u} }
	}
	nan := 0.0
	nan /= nan
	for name, tc := range map[string]struct {
		change func(*Options)
		key    string
	}{
		"client connections": {func(o *Options) { o.ConnectionsPerClient = -1 }, "connections_per_client"},
		"user connections":   {func(o *Options) { o.ConnectionsPerUser = -1 }, "connections_per_user"},
		"client rate":        {func(o *Options) { o.NewPerSecondPerClient = -1 }, "new_per_second_per_client"},
		"no number":          {func(o *Options) { o.NewPerSecondPerClient = nan }, "new_per_second_per_client"},
		"user rate":          {func(o *Options) { o.NewPerSecondPerUser = 1e9 }, "new_per_second_per_user"},
		"burst":              {func(o *Options) { o.NewBurst = -1 }, "new_burst"},
		"udp idle":           {func(o *Options) { o.UDPIdle = 1 }, "udp_idle"},
		"day 0":              {func(o *Options) { o.QuotaResetDay = 0 }, "quota_reset_day"},
		"day 32":             {func(o *Options) { o.QuotaResetDay = 32 }, "quota_reset_day"},
		"clients":            {func(o *Options) { o.MaxClients = 0 }, "max_clients"},
		"no name":            {func(o *Options) { o.Users = map[string]User{"": {}} }, "users"},
		"alice's number":     {user(User{Connections: ptr(-1)}), "users.alice.connections"},
		"alice's rate":       {user(User{NewPerSecond: &nan}), "users.alice.new_per_second"},
		"store": {func(o *Options) {
			if err := o.Store.UnmarshalText([]byte("file:" + t.TempDir() + "/none/x")); err != nil {
				t.Fatal(err)
			}
		}, "store"},
	} {
		o := good
		tc.change(&o)
		_, err := New(coretest.Env(t), o)
		bad, ok := errors.AsType[*core.OptionError](err)
		if !ok || bad.Key != tc.key {
			t.Errorf("%s: got %v, want a mistake in %s", name, err, tc.key)
		}
	}
}

// from is a client at an address.
func from(addr string) core.Client {
	return core.Client{Addr: netip.MustParseAddrPort(addr), Network: "tcp", Inbound: "test"}
}

func TestAdmit(t *testing.T) {
	env := coretest.Env(t)
	p := policy(t, env, Options{
		ConnectionsPerClient: 1, ExemptLoopback: true, Exempt: []option.Prefix{{Prefix: netip.MustParsePrefix("198.51.100.0/24")}},
	})
	for _, addr := range []string{"127.0.0.1:1", "[::1]:1", "198.51.100.7:1"} {
		for range 5 {
			if err := p.Admit(from(addr)); err != nil {
				t.Errorf("%s: got %v, want no bound", addr, err)
			}
		}
	}
	if err := p.Admit(from("192.0.2.1:1")); err != nil {
		t.Error(err)
	}
	if err := p.Admit(from("192.0.2.1:2")); !errors.Is(err, core.ErrDenied) || !strings.Contains(err.Error(), "192.0.2.1/32 has 1 connections") {
		t.Errorf("got %v, want that there are too many", err)
	}
	next := policy(t, env, Options{ConnectionsPerClient: 1}) // a reload: loopback counts, what runs does too
	if next.Admit(from("192.0.2.1:3")) == nil || next.Admit(from("127.0.0.1:3")) != nil || next.Admit(from("127.0.0.1:4")) == nil {
		t.Error("after a reload: want the old connection to count, and loopback bounded")
	}
	p.Observe(core.Event{Kind: core.Opened, Client: from("192.0.2.1:1")})
	if next.Admit(from("192.0.2.1:3")) == nil {
		t.Error("Opened counts as an end")
	}
	p.Observe(core.Event{Kind: core.HandshakeFailed, Client: from("192.0.2.1:1")})
	p.Observe(core.Event{Kind: core.Closed, Client: from("127.0.0.1:1")}) // exempt there
	if next.Admit(from("192.0.2.1:3")) != nil || next.Admit(from("127.0.0.1:4")) == nil {
		t.Error("want one of 192.0.2.1 admitted, and none of 127.0.0.1")
	}
}

// served is a pipeline with a policy, and one stream through it.
type served struct {
	*pipeline.Pipeline
	dialer *coretest.Dialer
	gate   *coretest.Gate
}

func serve(t testing.TB, p *Policy) *served {
	s := &served{dialer: coretest.NewDialer(), gate: new(coretest.Gate)}
	s.Pipeline = pipeline.New(pipeline.Config{
		Name: "test", Log: slog.New(slog.DiscardHandler), Gates: []core.Gate{p, s.gate}, Dialer: p.Wrap(s.dialer),
		DialTimeout: patience, IdleTimeout: time.Hour,
	})
	return s
}

type pending struct{ stream core.Stream }

func (p pending) Accept() (core.Stream, error) { return p.stream, nil }
func (p pending) Reject(error)                 { p.stream.Close() }

// stream has the pipeline serve a stream of a user, and returns its two far ends; the
// target's is nil if it was refused.
func (s *served) stream(t testing.TB, user, payload string) (near, far core.Stream, r *core.Request) {
	t.Helper()
	near, inner := coretest.Pipe()
	c := from("192.0.2.1:4711")
	if err := s.Admit(c); err != nil {
		t.Fatal(err)
	}
	r = &core.Request{
		ID: 1, Network: core.TCP, User: user, Client: c, Flow: new(core.Flow), Payload: []byte(payload),
		Target: core.AddrFrom(netip.MustParseAddrPort("192.0.2.9:80")),
	}
	before := len(s.dialer.Requests())
	s.HandleStream(t.Context(), r, pending{inner}, nil)
	if len(s.dialer.Requests()) > before {
		far = s.dialer.Accept(t)
		t.Cleanup(func() { far.Close() })
	}
	t.Cleanup(func() { near.Close() })
	return near, far, r
}

// TestStreamCut spends a quota by one running stream: it ends with a cause that says
// so, a silent one of the same user within a second, and that of another user goes on.
func TestStreamCut(t *testing.T) {
	p := policy(t, coretest.Env(t), Options{QuotaPerUser: 100_000})
	run(t, p)
	s := serve(t, p)
	near, far, r := s.stream(t, "alice", "")
	_, _, silent := s.stream(t, "alice", "")
	bob, bobFar, _ := s.stream(t, "bob", "")
	go func() { _, _ = io.Copy(io.Discard, far) }()
	written := 0
	for range 100 {
		n, err := near.Write(make([]byte, 10_000))
		if written += n; err != nil {
			break
		}
	}
	if written >= 1_000_000 {
		t.Errorf("got %d bytes through, want an end", written)
	}
	for _, f := range []*core.Flow{r.Flow, silent.Flow} {
		select {
		case <-f.Done():
		case <-time.After(patience):
			t.Fatal("a flow goes on")
		}
		if !errors.Is(f.Cause(), core.ErrDenied) || !strings.Contains(f.Cause().Error(), "quota") {
			t.Errorf("got the cause %v, want the quota", f.Cause())
		}
	}
	for _, e := range s.gate.WaitEnds(t, 2) {
		if e.Kind == core.Closed && !errors.Is(e.Err, core.ErrDenied) {
			t.Errorf("got the event %s, %v, want that policy ended it", e.Kind, e.Err)
		}
	}
	if up := r.Flow.Up.Load(); up > 400_000 {
		t.Errorf("got %d bytes up, want a burst more than the quota at the most", up)
	}
	if _, err := bob.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	if got := make([]byte, 5); true {
		if _, err := io.ReadFull(bobFar, got); err != nil || string(got) != "hello" {
			t.Errorf("bob: got %q, %v", got, err)
		}
	}
	if _, far, _ := s.stream(t, "alice", ""); far != nil {
		t.Error("a spent user's request was dialled")
	}
	events := s.gate.WaitEnds(t, 3)
	if last := events[len(events)-1]; last.Kind != core.Refused || !errors.Is(last.Err, core.ErrDenied) {
		t.Errorf("got the event %s, %v, want it refused", last.Kind, last.Err)
	}
}

// TestFirstPayload counts what leaves with the header.
func TestFirstPayload(t *testing.T) {
	p := policy(t, coretest.Env(t), Options{QuotaPerUser: 100})
	s := serve(t, p)
	s.stream(t, "alice", strings.Repeat("x", 60))
	if got := p.users.used("alice"); got != 60 {
		t.Errorf("got %d bytes, want 60", got)
	}
	near, _, _ := s.stream(t, "alice", strings.Repeat("x", 60))
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("got a byte, want an end")
	}
}

// TestConnectionsEnd counts streams and associations of a user down as they end, in
// whatever way.
func TestConnectionsEnd(t *testing.T) {
	p := policy(t, coretest.Env(t), Options{ConnectionsPerUser: 2})
	s := serve(t, p)
	for range 5 {
		one, _, cut := s.stream(t, "alice", "")
		two, twoFar, _ := s.stream(t, "alice", "")
		if _, far, _ := s.stream(t, "alice", ""); far != nil {
			t.Error("a third stream was dialled")
		}
		cut.Flow.Cut(core.ErrShutdown)
		if _, err := one.Read(make([]byte, 1)); err == nil {
			t.Error("got a byte of a stream that was cut")
		}
		two.Close()
		twoFar.Close()
		if s.idle(t); p.users.count("alice") != 0 {
			t.Errorf("got %d connections, want none", p.users.count("alice"))
		}
	}
	failing := &coretest.Dialer{
		Stream:  func(context.Context, *core.Request) (core.Stream, error) { return nil, io.ErrUnexpectedEOF },
		Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return nil, io.ErrUnexpectedEOF },
	}
	d := p.Wrap(failing)
	for range 5 {
		r := &core.Request{User: "alice", Flow: new(core.Flow)}
		if _, err := d.DialStream(t.Context(), r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
		if _, err := d.OpenPackets(t.Context(), r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	}
	near, far := coretest.PacketPipe()
	defer far.Conn.Close()
	d = p.Wrap(&coretest.Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return near.Conn, nil }})
	r := &core.Request{User: "alice", Flow: new(core.Flow)}
	for i, want := range []bool{true, true, false} {
		r := &core.Request{User: "alice", Flow: new(core.Flow)}
		if _, err := d.OpenPackets(t.Context(), r); (err == nil) != want {
			t.Errorf("association %d: got %v, want %t", i, err, want)
		}
	}
	p.Observe(core.Event{Kind: core.Closed, Client: from("192.0.2.1:1"), Request: r})
	near.Conn.Close()
}

// idle waits until nothing is live.
func (s *served) idle(t testing.TB) {
	t.Helper()
	for until := time.Now().Add(patience); s.Live() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("streams go on")
		}
	}
}

// count returns how many connections a user has.
func (us *users) count(name string) int {
	us.mu.Lock()
	defer us.mu.Unlock()
	if u := us.all[name]; u != nil {
		return u.connections
	}
	return 0
}

// TestTakeAllocates measures all bounds at once.
func TestTakeAllocates(t *testing.T) {
	us, _ := fresh(strict(), "n")
	_, m := open(t, us, "alice")
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := m.Take(100_000, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v objects a burst, want none", n)
	}
}

// A chain is built before its file is served, which is when the policy gets its users.
func TestWrapBeforeServed(t *testing.T) {
	env := coretest.Env(t)
	env.Stage = new(core.Stage)
	p := policy(t, env, Options{ConnectionsPerUser: 1})
	dialer := coretest.NewDialer()
	d := p.Wrap(dialer)
	env.Stage.Commit()
	dial := func() error {
		s, err := d.DialStream(t.Context(), &core.Request{User: "alice", Flow: new(core.Flow), Target: coretest.Target})
		if err == nil {
			t.Cleanup(func() { s.Close() })
			dialer.Accept(t).Close()
		}
		return err
	}
	if err := dial(); err != nil {
		t.Error(err)
	}
	if err := dial(); !errors.Is(err, core.ErrDenied) {
		t.Errorf("a second connection: got %v, want core.ErrDenied", err)
	}
}
