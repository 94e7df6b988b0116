package inbound

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// lines is a log's writer, from which each line can be awaited.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// A panic on the way of a burst is logged with its stack, and later bursts come.
func TestPacketServerPanics(t *testing.T) {
	log := make(lines, 64)
	site, h := newSite(t, "127.0.0.1"), newHost()
	site.env.Log = slog.New(slog.NewTextHandler(log, nil))
	h.panics = true
	g := site.start(t, newFakeServer(true), h)
	for range 2 {
		say(t, listenPlain(t), g.at(), wire(1, web, "x"))
		line := coretest.Await(t, "a line", log)
		for _, want := range []string{"level=ERROR", `msg="datagrams panicked"`, "slice bounds", "goroutine"} {
			if !strings.Contains(line, want) {
				t.Errorf("log: got %q, want %q in it", line, want)
			}
		}
	}
}

// Noise is told of to a person who debugs, without a word of its content.
func TestPacketServerLogsNoise(t *testing.T) {
	log := make(lines, 64)
	site := newSite(t, "127.0.0.1")
	site.env.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g := site.start(t, newFakeServer(true), newHost())
	client := listenPlain(t)
	say(t, client, g.at(), append([]byte{0xff}, "secret"...))
	line := coretest.Await(t, "a line", log)
	for _, want := range []string{"level=DEBUG", `msg="datagram dropped"`, "client=" + addrOf(client).String(), "bytes=7", "err=noise"} {
		if !strings.Contains(line, want) {
			t.Errorf("log: got %q, want %q in it", line, want)
		}
	}
	if strings.Contains(line, "secret") {
		t.Errorf("log: got %q, want none of the datagram", line)
	}
}

// Over a bound the session that makes room is cut, and told why.
func TestPacketServerCrowded(t *testing.T) {
	site, h := newSite(t, "127.0.0.1"), newHost()
	site.options.MaxSessions = 2
	g := site.start(t, newFakeServer(true), h)
	g.sockets[0].receive(burst("1a", "2b", "3c", "2d"))
	requests, _ := h.served()
	if len(requests) != 3 {
		t.Fatalf("requests: got %d, want 3", len(requests))
	}
	for i, want := range []error{core.ErrCrowded, nil, nil} {
		if got := requests[i].Flow.Cause(); got != want {
			t.Errorf("session %d: got cut with %v, want %v", i+1, got, want)
		}
	}
	if n := len(g.sessions.all); n != 2 {
		t.Errorf("sessions: got %d, want 2", n)
	}
}

// The end of the only generation ends its sessions.
func TestPacketServerShutdown(t *testing.T) {
	site, h := newSite(t, "127.0.0.1"), newHost()
	g := site.start(t, newFakeServer(true), h)
	g.sockets[0].receive(burst("1a", "2b"))
	g.shutdown(t)
	g.shutdown(t) // may come again
	requests, conns := h.served()
	for i, r := range requests {
		if got := r.Flow.Cause(); got != core.ErrShutdown {
			t.Errorf("session %d: got cut with %v, want %v", i, got, core.ErrShutdown)
		}
		if _, err := conns[i].WritePackets([]core.Packet{{Addr: web}}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("session %d: write after the end: got %v, want net.ErrClosed", i, err)
		}
	}
	if n := len(g.sessions.all); n != 0 {
		t.Errorf("sessions: got %d, want 0", n)
	}
	again, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(site.options.Listen[0].AddrPort()))
	if err != nil {
		t.Fatalf("the address is not free: %v", err)
	}
	again.Close()
}

func TestPacketServerShutdownEarly(t *testing.T) {
	site := newSite(t, "127.0.0.1")
	p, err := NewPacketServer(site.env, site.options, newFakeServer(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Errorf("shutdown without listen: %v", err)
	}
	if err := p.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Errorf("shutdown without serve: %v", err)
	}
}

// owns sends noise until the generation whose cipher that is receives it.
func (g *generation) owns(t *testing.T, cipher *fakeServer) {
	t.Helper()
	c := listenPlain(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(patience); cipher.asked.Load() == 0; <-tick.C {
		say(t, c, g.at(), []byte{0xff})
		if time.Now().After(until) {
			t.Fatalf("the socket has no new owner within %s", patience)
		}
	}
}

// A generation that follows another on the same address takes over its sessions:
// they go on with what they have, and nobody asks about them again.
func TestPacketServerReload(t *testing.T) {
	site, before, after := newSite(t, "127.0.0.1"), newHost(), newHost()
	cipher, reloaded := newFakeServer(true), newFakeServer(true)
	reloaded.sessions = cipher.sessions // as a cipher keeps them
	first := site.start(t, cipher, before)
	client := listenPlain(t)
	say(t, client, first.at(), wire(1, web, "before"))
	coretest.Await(t, "a datagram", before.came)

	site.options.MaxSessions, site.options.ClientSessions = 7, 3 // hold from now on
	second := site.start(t, reloaded, after)
	second.owns(t, reloaded)
	if second.sessions != first.sessions || second.sessions.max != 7 || second.sessions.perClient != 3 {
		t.Errorf("the table: got %p with bounds %d, %d, want %p, 7, 3", second.sessions, second.sessions.max, second.sessions.perClient, first.sessions)
	}
	first.shutdown(t)
	requests, conns := before.served()
	if cause := requests[0].Flow.Cause(); cause != nil {
		t.Fatalf("the session was cut: %v", cause)
	}
	say(t, client, second.at(), wire(1, web, "after"))
	if got := coretest.Await(t, "a datagram of the old session", before.came); got != "user1: after" {
		t.Errorf("got %q, want what was sent after the reload", got)
	}
	if _, err := conns[0].WritePackets([]core.Packet{{Addr: web, Data: []byte("answer")}}); err != nil {
		t.Fatal(err)
	}
	hears(t, client, wire(1, web, "answer"))
	say(t, client, second.at(), wire(2, web, "new"))
	coretest.Await(t, "a datagram of a new session", after.came)
	if made, _ := after.served(); len(made) != 1 {
		t.Errorf("requests of the second generation: got %d, want 1", len(made))
	}
	second.shutdown(t)
	for _, h := range []*host{before, after} {
		all, _ := h.served()
		if cause := all[0].Flow.Cause(); cause != core.ErrShutdown {
			t.Errorf("after the last generation: got cut with %v, want %v", cause, core.ErrShutdown)
		}
	}
}

// The end of a socket ends the sessions of that socket alone, if a reload has
// changed the address.
func TestPacketServerMoves(t *testing.T) {
	site, before, after := newSite(t, "127.0.0.1"), newHost(), newHost()
	cipher := newFakeServer(false)
	first := site.start(t, cipher, before)
	say(t, listenPlain(t), first.at(), wire(1, web, "x"))
	coretest.Await(t, "a datagram", before.came)
	site.options.Listen = newSite(t, "127.0.0.1").options.Listen
	second := site.start(t, cipher, after)
	say(t, listenPlain(t), second.at(), wire(1, web, "y"))
	coretest.Await(t, "a datagram", after.came)
	first.shutdown(t)
	old, _ := before.served()
	moved, _ := after.served()
	if old[0].Flow.Cause() != core.ErrShutdown || moved[0].Flow.Cause() != nil {
		t.Errorf("cut with: got %v, %v, want %v, nil", old[0].Flow.Cause(), moved[0].Flow.Cause(), core.ErrShutdown)
	}
}

func TestNewPacketServerChecks(t *testing.T) {
	site := newSite(t, "127.0.0.1")
	site.options.MaxSessions = 0
	p, err := NewPacketServer(site.env, site.options, newFakeServer(true))
	var option *core.OptionError
	if p != nil || !errors.As(err, &option) || option.Key != "max_sessions" {
		t.Errorf("no sessions: got %v, %v, want an error for max_sessions", p, err)
	}
	taken := listenPlain(t)
	site = newSite(t, "127.0.0.1")
	if err := site.options.Listen[0].UnmarshalText([]byte(netip.AddrPort(addrOf(taken)).String())); err != nil {
		t.Fatal(err)
	}
	p, err = NewPacketServer(site.env, site.options, newFakeServer(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Listen(t.Context()); !errors.As(err, &option) || option.Key != "listen.0" {
		t.Errorf("an address in use: got %v, want an error for listen.0", err)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Errorf("shutdown after a failed listen: %v", err)
	}
}
