package pipeline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// sweep is how late an idle association may be cut.
const sweep = 2 * time.Second

// An association is cut when neither side has moved a datagram for the idle
// timeout, and never before, wherever between two looks it was opened.
func TestAssociationIdle(t *testing.T) {
	keep := func(move func(g *guest)) func(g *guest) {
		return func(g *guest) {
			for range 5 {
				time.Sleep(idleTimeout - time.Second)
				move(g)
			}
		}
	}
	for _, tc := range []struct {
		name  string
		moves func(g *guest)
	}{
		{"nothing ever moved", func(*guest) {}},
		{"moved once", func(g *guest) { time.Sleep(time.Minute); g.client.give("x") }},
		{"up only", keep(func(g *guest) { g.client.give("x") })},
		{"down only", keep(func(g *guest) { g.upstream.give("x") })},
		{"empty datagrams", keep(func(g *guest) { g.upstream.give("") })},
	} {
		for _, before := range []time.Duration{0, 1, sweep - 1} {
			t.Run(tc.name+", "+before.String()+" after a look", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t)
					first := s.guest(t)
					first.serve(t, s) // the looks begin with it
					time.Sleep(before)
					g := s.guest(t)
					last := time.Now()
					g.serve(t, s)
					if tc.moves(g); g.request.Flow.Up.Load()+g.request.Flow.Down.Load() > 0 || tc.name == "empty datagrams" {
						last = time.Now()
					}
					if cause := g.request.Flow.Cause(); cause != nil {
						t.Fatalf("got cut although datagrams moved: %v", cause)
					}
					<-g.request.Flow.Done()
					if took := time.Since(last); took < idleTimeout || took > idleTimeout+2*sweep {
						t.Errorf("cut after %s, want %s to %s", took, idleTimeout, idleTimeout+2*sweep)
					}
					synctest.Wait()
					if got := g.request.Flow.Cause(); got != core.ErrIdle {
						t.Errorf("the cause: got %v, want %v", got, core.ErrIdle)
					}
					g.ended(t)
				})
			})
		}
	}
}

// A burst of which nothing was taken moves nothing.
func TestAssociationIdleNothingTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		g := s.guest(t)
		g.serve(t, s)
		g.request.Flow.Use(&slow{wait: 2 * idleTimeout})
		g.client.give("the last for a long time")
		time.Sleep(idleTimeout / 2)
		g.client.give("dropped")
		<-g.request.Flow.Done()
		synctest.Wait()
		if got := g.request.Flow.Cause(); got != core.ErrIdle {
			t.Errorf("the cause: got %v, want %v", got, core.ErrIdle)
		}
	})
}

// timed is a client's side that knows better for how long it may be idle.
type timed struct {
	*fakePackets
	idle time.Duration
	most time.Duration // that it was asked with
}

var _ pipeline.IdleTimeouter = (*timed)(nil)

func (f *timed) IdleTimeout(most time.Duration) time.Duration {
	f.most = most
	return min(most, f.idle)
}

func TestAssociationIdleTimeouter(t *testing.T) {
	for _, tc := range []struct {
		name string
		idle time.Duration
		want time.Duration
	}{
		{"shorter", 17 * time.Second, 17 * time.Second},
		{"at once", 0, 0},
		{"longer", time.Hour, idleTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				g := s.guest(t)
				client := &timed{fakePackets: g.client, idle: tc.idle}
				g.conn = client
				g.serve(t, s)
				began := time.Now()
				<-g.request.Flow.Done()
				if took := time.Since(began); took < tc.want || took > tc.want+sweep {
					t.Errorf("cut after %s, want %s to %s", took, tc.want, tc.want+sweep)
				}
				synctest.Wait()
				if client.most != idleTimeout {
					t.Errorf("asked with: got %s, want %s", client.most, idleTimeout)
				}
			})
		})
	}
}

// A short idle timeout is looked after more often.
func TestAssociationIdleShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.cfg.IdleTimeout = time.Second
		s.Pipeline = pipeline.New(s.cfg)
		g := s.guest(t)
		g.serve(t, s)
		began := time.Now()
		<-g.request.Flow.Done()
		if took := time.Since(began); took < time.Second || took > time.Second+time.Second/8 {
			t.Errorf("cut after %s, want 1s to 1.125s", took)
		}
	})
}

// looked is a client's side that tells of each look.
type looked struct {
	*fakePackets
	looks chan struct{}
}

func (f *looked) IdleTimeout(most time.Duration) time.Duration {
	select {
	case f.looks <- struct{}{}:
	default: // nobody waits
	}
	return time.Hour
}

// An association may be looked at while it is opened. It is the race detector that
// watches, and each time it has an even chance.
func TestAssociationOpensDuringLook(t *testing.T) {
	s := newStage(t)
	s.cfg.IdleTimeout = 8 * time.Millisecond // there is a look each millisecond
	s.Pipeline = pipeline.New(s.cfg)
	first := s.guest(t)
	looks := make(chan struct{})
	first.conn = &looked{first.client, looks}
	first.serve(t, s)
	const others = 32
	for range others {
		g := s.guest(t)
		s.dialer.Packets = func(context.Context, *core.Request) (core.PacketConn, error) {
			coretest.Await(t, "a look", looks)
			return g.upstream, nil
		}
		g.serve(t, s)
	}
	s.gate.WaitEnds(t, others)
}
