package ban

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// defaults are the options of a table that says nothing.
func defaults() Options {
	return Options{
		Failures: 3, Window: option.Duration(10 * time.Minute), Duration: option.Duration(10 * time.Minute),
		MaxDuration: option.Duration(168 * time.Hour), Decay: option.Duration(24 * time.Hour),
		PrefixV4: 32, PrefixV6: 64, ExemptLoopback: true, Mode: "ban", MaxEntries: 1000,
	}
}

// env returns that of a policy, and its log.
func env() (core.Env, *strings.Builder) {
	log := new(strings.Builder)
	return core.Env{Section: core.SectionPolicy, Name: "ban", Process: new(core.Process), Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

func newPolicy(t testing.TB, o Options) (*Policy, *strings.Builder) {
	t.Helper()
	e, log := env()
	p, err := New(e, o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Policy), log
}

func client(ip string) core.Client {
	return core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 4711), Network: "tcp", Inbound: "ss"}
}

// fail lets a client fail n times, as an inbound tells it.
func fail(g core.Gate, c core.Client, n int, err error) {
	for range n {
		g.Observe(core.Event{Kind: core.HandshakeFailed, Client: c, Err: err})
	}
}

// serve lets a client be served.
func serve(g core.Gate, c core.Client) {
	g.Observe(core.Event{Kind: core.Opened, Client: c, Request: &core.Request{}, Authenticated: true})
	g.Observe(core.Event{Kind: core.Closed, Client: c, Request: &core.Request{}, Authenticated: true})
}

func isBanned(g core.Gate, c core.Client) bool { return errors.Is(g.Admit(c), core.ErrDenied) }

// TestScores tells failures apart: what only an attacker does counts in full.
func TestScores(t *testing.T) {
	auth := fmt.Errorf("length of a chunk: %w", core.ErrAuth)
	for _, tc := range []struct {
		name  string
		event core.Event
		bans  int // after how many; 0 for never
	}{
		{"wrong key", core.Event{Kind: core.HandshakeFailed, Err: auth}, 3},
		{"replay", core.Event{Kind: core.HandshakeFailed, Err: core.ErrReplay}, 3},
		{"past the balancer", core.Event{Kind: core.HandshakeFailed, Err: core.ErrUntrusted}, 3},
		{"too few bytes", core.Event{Kind: core.HandshakeFailed, Err: core.ErrShort}, 30},
		{"another end", core.Event{Kind: core.HandshakeFailed, Err: errors.New("EOF")}, 30},
		{"a connect without a byte", core.Event{Kind: core.HandshakeFailed, Err: fmt.Errorf("%w: EOF", core.ErrNothing)}, 0},
		{"malformed", core.Event{Kind: core.HandshakeFailed, Err: core.ErrMalformed}, 30},
		{"mistake of a key's holder", core.Event{Kind: core.HandshakeFailed, Err: core.ErrMalformed, Authenticated: true}, 0},
		{"an end between two requests", core.Event{Kind: core.HandshakeFailed, Err: fmt.Errorf("%w: EOF", core.ErrIdle)}, 0},
		{"wrong clock", core.Event{Kind: core.HandshakeFailed, Err: fmt.Errorf("%w: 38 s", core.ErrClock)}, 0},
		{"replay of another node's", core.Event{Kind: core.Refused, Err: &core.Refusal{Err: core.ErrReplay}, Authenticated: true}, 3},
		{"refused before", core.Event{Kind: core.Refused, Err: core.ErrDenied}, 0},
		{"target away", core.Event{Kind: core.DialFailed, Err: core.ErrAuth, Authenticated: true}, 0},
		{"closed", core.Event{Kind: core.Closed, Authenticated: true, Err: core.ErrAuth}, 0},
		{"UDP", core.Event{Kind: core.HandshakeFailed, Err: auth, Client: core.Client{Network: "udp"}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _ := newPolicy(t, defaults())
			c := client("192.0.2.7")
			if tc.event.Client.Network == "" {
				tc.event.Client.Network = "tcp"
			}
			tc.event.Client.Addr = c.Addr
			after := 0
			for n := 1; n <= 1000 && after == 0; n++ {
				if p.Observe(tc.event); isBanned(p, c) {
					after = n
				}
			}
			if after != tc.bans {
				t.Errorf("got a ban after %d, want after %d", after, tc.bans)
			}
		})
	}
}

// TestLife follows one client through bans of growing length, to its end and beyond.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log := newPolicy(t, defaults())
		c, neighbour := client("192.0.2.7"), client("192.0.2.8")
		for n, want := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute} {
			fail(p, c, 2, core.ErrAuth)
			if isBanned(p, c) {
				t.Fatalf("ban %d: banned after two failures", n)
			}
			fail(p, c, 1, core.ErrReplay)
			if !isBanned(p, c) || isBanned(p, neighbour) {
				t.Fatalf("ban %d: banned %t, its neighbour %t, want it alone", n, isBanned(p, c), isBanned(p, neighbour))
			}
			fail(p, c, 100, core.ErrAuth) // of connections from before
			time.Sleep(want - time.Millisecond)
			if !isBanned(p, c) {
				t.Errorf("ban %d ended before %s", n, want)
			}
			time.Sleep(time.Millisecond)
			p.table.sweep(time.Now())
			if isBanned(p, c) {
				t.Errorf("ban %d: still banned after %s", n, want)
			}
		}
		time.Sleep(48 * time.Hour) // two of three are forgotten
		p.table.sweep(time.Now())
		fail(p, c, 3, core.ErrAuth)
		time.Sleep(20*time.Minute - time.Millisecond)
		if !isBanned(p, c) {
			t.Error("the ban after two decays ended before 20 min")
		}
		time.Sleep(time.Millisecond)
		if isBanned(p, c) {
			t.Error("the ban after two decays lasted for more than 20 min")
		}
		time.Sleep(30 * 24 * time.Hour)
		p.table.sweep(time.Now())
		if len(p.table.bans) != 0 || len(p.table.queue) != 0 || len(p.table.v4.used) != 0 {
			t.Errorf("after a month: %d bans, %d in the queue, want none", len(p.table.bans), len(p.table.queue))
		}
		for _, want := range []string{
			`msg=banned client=192.0.2.7 for=10m0s failures="auth 2, replay 1" times=1`, "for=20m0s", "for=40m0s", "times=3",
			`msg="ban ended" client=192.0.2.7 refused=`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, log)
			}
		}
		if n := strings.Count(log.String(), "msg=banned"); n != 4 {
			t.Errorf("got %d lines of bans, want 4", n)
		}
	})
}

// TestMaxDuration: however often one is banned, it ends.
func TestMaxDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPolicy(t, defaults())
		c := client("192.0.2.7")
		for range 100 {
			fail(p, c, 3, core.ErrAuth)
			b, on := p.table.banned(c.Addr.Addr(), time.Now())
			if !on || time.Until(b.Until) > 168*time.Hour {
				t.Fatalf("got a ban of %s, %t, want at most a week", time.Until(b.Until), on)
			}
			time.Sleep(time.Until(b.Until))
		}
	})
}

// TestWindow checks the sliding window against one that keeps every failure: it is
// never shorter, and longer by an eighth at the most.
func TestWindow(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	const window = 10 * time.Minute
	for range 200 {
		var c tally
		var at []time.Duration
		now := time.Duration(r.Int64N(int64(time.Hour)))
		for range 50 {
			now += time.Duration(r.Int64N(int64(window) / int64(1+r.IntN(10))))
			c.add(authFailed, point, now, window)
			at = append(at, now)
			inside := func(w time.Duration) (n int) {
				for _, a := range at {
					if now-a < w {
						n++
					}
				}
				return n * point
			}
			if got, least, most := c.sum(), inside(window), inside(window+window/windowSlots+1); got < least || got > most {
				t.Fatalf("got %d points, want %d to %d", got, least, most)
			}
		}
	}
}

// TestSharedAddress has an attacker and those who were served behind one address:
// they have ten times the allowance, and their success begins anew.
func TestSharedAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPolicy(t, defaults())
		c := client("192.0.2.7")
		serve(p, c)
		fail(p, c, 29, core.ErrAuth)
		if isBanned(p, c) {
			t.Fatal("banned after 29 failures beside a success")
		}
		serve(p, c)
		fail(p, c, 29, core.ErrAuth)
		if isBanned(p, c) {
			t.Fatal("a success did not begin anew")
		}
		fail(p, c, 1, core.ErrAuth)
		if !isBanned(p, c) {
			t.Error("not banned after 30 failures")
		}
		other := client("192.0.2.8")
		serve(p, other)
		time.Sleep(24 * time.Hour)
		fail(p, other, 3, core.ErrAuth)
		if !isBanned(p, other) {
			t.Error("a success is good for more than a day")
		}
		unproven := client("192.0.2.9")
		p.Observe(core.Event{Kind: core.Opened, Client: unproven, Request: &core.Request{}})
		fail(p, unproven, 3, core.ErrAuth)
		if !isBanned(p, unproven) {
			t.Error("a request that proves nothing counts as a success")
		}
	})
}

// TestClients: what makes one client, and who is never banned.
func TestClients(t *testing.T) {
	o := defaults()
	if err := exempt(&o, "198.51.100.0/24", "2001:db8:ffff::/48"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		fails, asks string
		banned      bool
	}{
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.6", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"127.0.0.1", "127.0.0.1", false},
		{"::1", "::1", false},
		{"198.51.100.9", "198.51.100.9", false},
		{"2001:db8:ffff:1::1", "2001:db8:ffff:1::1", false},
	} {
		p, _ := newPolicy(t, o)
		fail(p, client(tc.fails), 100, core.ErrAuth)
		if got := isBanned(p, client(tc.asks)); got != tc.banned {
			t.Errorf("%s failed, %s asks: banned %t, want %t", tc.fails, tc.asks, got, tc.banned)
		}
	}
	o.ExemptLoopback, o.PrefixV4 = false, 24
	p, _ := newPolicy(t, o)
	fail(p, client("127.0.0.5"), 3, core.ErrAuth)
	if !isBanned(p, client("127.0.0.99")) || isBanned(p, client("127.0.1.5")) {
		t.Error("prefix_v4 = 24 without the exemption: want 127.0.0.0/24 banned, alone")
	}
	if p.Admit(core.Client{}) != nil {
		t.Error("a client without an address is refused")
	}
}

// exempt sets the exempt ranges.
func exempt(o *Options, ranges ...string) error {
	o.Exempt = make([]option.Prefix, len(ranges))
	for i, r := range ranges {
		if err := o.Exempt[i].UnmarshalText([]byte(r)); err != nil {
			return err
		}
	}
	return nil
}

func TestObserveMode(t *testing.T) {
	o := defaults()
	o.Mode = "observe"
	p, log := newPolicy(t, o)
	fail(p, client("192.0.2.7"), 10, core.ErrAuth)
	if isBanned(p, client("192.0.2.7")) || strings.Count(log.String(), "would ban") != 1 || strings.Contains(log.String(), "msg=banned") {
		t.Errorf("banned %t, log:\n%s", isBanned(p, client("192.0.2.7")), log)
	}
}

func TestAction(t *testing.T) {
	for text, want := range map[string]core.Ending{
		"": core.EndAsFailed, "drain": core.EndDrained, "close": core.EndClosed, "reset": core.EndReset, "tarpit": core.EndTarpit,
	} {
		o := defaults()
		if text != "" {
			if err := o.Action.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		p, _ := newPolicy(t, o)
		fail(p, client("192.0.2.7"), 3, core.ErrAuth)
		if r, ok := errors.AsType[*core.Refusal](p.Admit(client("192.0.2.7"))); !ok || r.End != want || o.Action.String() != text {
			t.Errorf("%q: got %v, want ending %d", text, r, want)
		}
	}
}

// TestFlood has a million addresses fail, each as often as it may: memory stays
// bounded, and those that attack while it goes on are banned.
func TestFlood(t *testing.T) {
	const attackers = 1_000_000
	o := defaults()
	o.MaxEntries = 10_000
	p, _ := newPolicy(t, o)
	p.table.log = slog.New(slog.DiscardHandler)
	steady := client("192.0.2.7")
	serve(p, client("192.0.2.99"))
	for i := range attackers {
		c := core.Client{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1), Network: "tcp"}
		fail(p, c, 2+i%2, core.ErrAuth)
		if i%5000 == 0 && i < 15_000 {
			fail(p, steady, 1, core.ErrAuth)
		}
	}
	if !isBanned(p, steady) && len(p.table.bans) < o.MaxEntries {
		t.Error("an attacker who went on was not banned")
	}
	if n := p.table.tallies.Len(); n > o.MaxEntries {
		t.Errorf("got %d tallies, want at most %d", n, o.MaxEntries)
	}
	if n := len(p.table.bans); n > o.MaxEntries || len(p.table.queue) != n {
		t.Errorf("got %d bans, want at most %d", n, o.MaxEntries)
	}
	if _, ok := p.table.served.Peek(o.clientOf(netip.MustParseAddr("192.0.2.99"))); !ok {
		t.Error("a flood of failures made a success forgotten")
	}
}

func TestGateKit(t *testing.T) {
	coretest.TestGate(t, func(t testing.TB) core.Gate { p, _ := newPolicy(t, defaults()); return p })
}
