package limit

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// side is a core.PacketConn without a network, which counts what is written.
type side struct {
	sink core.PacketSink
	got  int // bytes
}

func (s *side) Accept() (core.PacketConn, error) { return s, nil }
func (s *side) Reject(error)                     {}
func (s *side) Receive(sink core.PacketSink)     { s.sink = sink }
func (s *side) Close() error                     { return nil }

func (s *side) WritePackets(ps []core.Packet) (int, error) {
	for _, p := range ps {
		s.got += len(p.Data)
	}
	return len(ps), nil
}

// associate has a pipeline serve an association of alice, and returns both sides.
func associate(t testing.TB, p *Policy) (client, target *side, gate *coretest.Gate, r *core.Request) {
	client, target, gate = new(side), new(side), new(coretest.Gate)
	dialer := &coretest.Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return target, nil }}
	pipeline := pipeline.New(pipeline.Config{
		Name: "test", Log: slog.New(slog.DiscardHandler), Gates: []core.Gate{p, gate}, Dialer: p.Wrap(dialer),
		DialTimeout: patience, IdleTimeout: time.Hour,
	})
	c := core.Client{Addr: netip.MustParseAddrPort("192.0.2.1:4711"), Network: "udp", Inbound: "test"}
	if err := pipeline.Admit(c); err != nil {
		t.Fatal(err)
	}
	r = &core.Request{ID: 1, Network: core.UDP, User: "alice", Client: c, Flow: new(core.Flow)}
	pipeline.HandlePackets(t.Context(), r, client, nil)
	return client, target, gate, r
}

// datagrams are bursts of a KiB each.
func datagrams(n int) []core.Packet {
	ps := make([]core.Packet, n)
	for i := range ps {
		ps[i] = core.Packet{Addr: core.AddrFrom(netip.MustParseAddrPort("192.0.2.9:53")), Data: make([]byte, kib)}
	}
	return ps
}

// TestPacketsBandwidth sends five times as much as a user may: a fifth comes through,
// and nobody waits.
func TestPacketsBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, coretest.Env(t), Options{BandwidthPerUser: option.Bandwidth{Up: 100 * kib, Down: 200 * kib}})
		client, target, gate, r := associate(t, p)
		began := time.Now()
		for range 6000 { // a minute
			client.sink(datagrams(5))
			target.sink(datagrams(10))
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("got %s, want that nothing waits", took)
		}
		within(t, "up", target.got, 60*100*kib, 5)
		within(t, "down", client.got, 60*200*kib, 5)
		r.Flow.Cut(core.ErrShutdown)
		gate.WaitEnds(t, 1)
		if n := p.users.count("alice"); n != 0 {
			t.Errorf("got %d connections after the end, want none", n)
		}
	})
}

// TestPacketsQuota spends a quota by UDP.
func TestPacketsQuota(t *testing.T) {
	p := policy(t, coretest.Env(t), Options{QuotaPerUser: 100 * kib})
	client, target, gate, r := associate(t, p)
	for range 99 {
		client.sink(datagrams(1))
	}
	if r.Flow.Cause() != nil {
		t.Fatalf("got the cause %v before the end", r.Flow.Cause())
	}
	target.sink(datagrams(1))
	events := gate.WaitEnds(t, 1)
	if e := events[len(events)-1]; e.Kind != core.Closed || !errors.Is(e.Err, core.ErrDenied) || !errors.Is(r.Flow.Cause(), core.ErrDenied) {
		t.Errorf("got the event %s, %v, want that policy ended it", e.Kind, e.Err)
	}
	if _, _, gate, _ := associate(t, p); gate.Kinds()[0] != core.Refused {
		t.Errorf("got %v, want it refused", gate.Kinds())
	}
}
