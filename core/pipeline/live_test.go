package pipeline

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// fakeConnection is a connection that moves nothing.
type fakeConnection struct {
	over     core.Network
	cutBy    core.Flow
	queued   atomic.Int64
	shortest time.Duration // its own idle timeout; 0 for none
	lasting  atomic.Int64  // 1 after a call of lasts
	sweeps   activity
}

func (c *fakeConnection) flow() *core.Flow      { return &c.cutBy }
func (c *fakeConnection) network() core.Network { return c.over }
func (c *fakeConnection) progress() int64       { return 0 }
func (c *fakeConnection) inQueues() int         { return int(c.queued.Load()) }
func (c *fakeConnection) activity() *activity   { return &c.sweeps }
func (c *fakeConnection) user() string          { return "alice" }
func (c *fakeConnection) id() uint64            { return 0 }
func (c *fakeConnection) snapshot() Connection  { return Connection{} }

func (c *fakeConnection) idleTimeout(most time.Duration) time.Duration {
	if c.shortest > 0 {
		return min(c.shortest, most)
	}
	return most
}

// lasts does what it has to do once, as a stream does.
func (c *fakeConnection) lasts() { c.lasting.CompareAndSwap(0, 1) }

// enter puts a connection into a set, which it leaves when it is cut.
func enter(t *testing.T, l *liveSet, c *fakeConnection) {
	t.Helper()
	c.cutBy.OnCut(func() { l.leave(c) })
	if l.enter(c, nil) != nil {
		t.Error("enter: got false")
	}
}

// The timer runs while there is something to look at.
func TestSweepStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLiveSet(time.Minute, nil)
		for range 3 {
			a, b := &fakeConnection{over: core.TCP}, &fakeConnection{over: core.UDP}
			enter(t, l, a)
			enter(t, l, b)
			a.cutBy.Cut(core.ErrIdle)
			if l.timer == nil {
				t.Error("with a connection: got no sweep to come")
			}
			b.cutBy.Cut(core.ErrIdle)
			if l.timer != nil || l.size() != 0 {
				t.Error("after the last connection: got a sweep to come")
			}
			time.Sleep(time.Second)
		}
	})
}

// A quiet connection is cut after its idle timeout, up to an eighth late and never
// early; what moves stays, and so does what the kernel still delivers.
func TestSweepCutsIdle(t *testing.T) {
	for _, tc := range []struct {
		name        string
		over        core.Network
		shortest    time.Duration
		idle, after time.Duration
		late        time.Duration
	}{
		{"stream", core.TCP, 0, 80 * time.Second, 80 * time.Second, 10 * time.Second},
		{"stream, a long timeout", core.TCP, 0, 24 * time.Hour, 24 * time.Hour, streamSweep},
		{"association", core.UDP, 0, 5 * time.Minute, 5 * time.Minute, associationSweep},
		{"association with a timeout of its own", core.UDP, 17 * time.Second, 5 * time.Minute, 17 * time.Second, associationSweep},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, began := newLiveSet(tc.idle, nil), time.Now()
				c := &fakeConnection{over: tc.over, shortest: tc.shortest}
				enter(t, l, c)
				<-c.cutBy.Done()
				if took := time.Since(began); took < tc.after || took > tc.after+tc.late || c.cutBy.Cause() != core.ErrIdle {
					t.Errorf("cut after %s by %v, want %s to %s by ErrIdle", took, c.cutBy.Cause(), tc.after, tc.after+tc.late)
				}
				if c.lasting.Load() != 1 {
					t.Errorf("what is to be done once was done %d times", c.lasting.Load())
				}
			})
		})
	}
}

// An association that comes makes the next sweep come sooner.
func TestSweepComesSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLiveSet(time.Hour, nil)
		enter(t, l, &fakeConnection{over: core.TCP})
		time.Sleep(time.Second)
		c := &fakeConnection{over: core.UDP, shortest: time.Second}
		enter(t, l, c)
		began := time.Now()
		<-c.cutBy.Done()
		if took := time.Since(began); took > 2*associationSweep {
			t.Errorf("cut after %s, want within %s", took, 2*associationSweep)
		}
		l.cut(func(connection) bool { return true }, core.ErrShutdown)
	})
}

func TestSweepCountsQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLiveSet(time.Minute, nil)
		c := &fakeConnection{over: core.TCP}
		enter(t, l, c)
		for range 10 {
			time.Sleep(50 * time.Second)
			c.queued.Add(-1000) // a slow reader takes something
			if c.cutBy.Cause() != nil {
				t.Fatalf("cut by %v while the kernel delivered", c.cutBy.Cause())
			}
		}
		<-c.cutBy.Done()
	})
}

// A draining set takes nothing.
func TestEnterWhileDraining(t *testing.T) {
	l := newLiveSet(time.Minute, nil)
	l.drain(context.Background(), context.Background())
	called := false
	if err := l.enter(&fakeConnection{over: core.TCP}, func() { called = true }); !errors.Is(err, core.ErrShutdown) || called {
		t.Error("a draining set took a connection")
	}
}
