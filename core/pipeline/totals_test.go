package pipeline

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Whoever reads the totals while connections end sees them never fall, and each connection
// once.
func TestTotalsNeverFall(t *testing.T) {
	l := newLiveSet(time.Hour, nil)
	l.users = func() bool { return true }
	const n = 500
	var done atomic.Bool
	var reading sync.WaitGroup
	reading.Go(func() {
		var last int64
		for !done.Load() {
			sum := l.totals(true, true)
			moved := sum.Streams.Up + sum.Associations.Up
			if moved < last || moved > n*10 || sum.Users["alice"].Up != moved {
				t.Errorf("got %d bytes after %d, and %d of the user", moved, last, sum.Users["alice"].Up)
				return
			}
			last = moved
		}
	})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c := &fakeConnection{over: []core.Network{core.TCP, core.UDP}[i%2]}
			enter(t, l, c)
			c.cutBy.Up.Add(10)
			c.cutBy.Cut(core.ErrIdle)
		})
	}
	all.Wait()
	done.Store(true)
	reading.Wait()
	sum := l.totals(true, true)
	if sum.Streams.Live+sum.Associations.Live != 0 || sum.Streams.Up != n*5 || sum.Associations.Up != n*5 || sum.Users["alice"].Up != n*10 {
		t.Errorf("at the end: got %+v", sum)
	}
	if l.totals(true, false).Users == nil {
		t.Error("users that were counted are forgotten")
	}
}

// What went through an outbound never falls, and each connection is in it once, also while it
// ends.
func TestOutboundsNeverFall(t *testing.T) {
	p := New(Config{Path: []string{"outbound.split"}, IdleTimeout: time.Hour})
	const n = 500
	var done atomic.Bool
	var reading sync.WaitGroup
	reading.Go(func() {
		var last int64
		for !done.Load() {
			sums := map[string]Sum{}
			p.Outbounds(sums)
			moved := sums["outbound.split"].Up
			if moved < last || moved > n*10 || sums["outbound.a"].Up > moved {
				t.Errorf("got %d bytes after %d, and %d through the branch", moved, last, sums["outbound.a"].Up)
				return
			}
			last = moved
		}
	})
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			c := &fakeConnection{over: core.TCP}
			enter(t, p.live, c)
			c.cutBy.Choose("outbound.a")
			c.cutBy.Up.Add(10)
			c.cutBy.Cut(core.ErrIdle)
		})
	}
	all.Wait()
	done.Store(true)
	reading.Wait()
	sums := map[string]Sum{}
	p.Outbounds(sums)
	if a, split := sums["outbound.a"], sums["outbound.split"]; a.Up != n*10 || split.Up != n*10 || a.Live+split.Live != 0 {
		t.Errorf("at the end: got %+v", sums)
	}
}

// What goes through an outbound is the sum of the connections that go through it.
func TestOutbounds(t *testing.T) {
	p := New(Config{Path: []string{"outbound.split"}, IdleTimeout: time.Hour})
	for i := range 4 {
		c := &fakeConnection{over: core.TCP}
		enter(t, p.live, c)
		c.cutBy.Down.Add(5)
		if i > 0 {
			c.cutBy.Choose("outbound.a")
		}
		defer c.cutBy.Cut(core.ErrIdle)
	}
	sums := map[string]Sum{"outbound.a": {Live: 1}}
	p.Outbounds(sums)
	if a, all := sums["outbound.a"], sums["outbound.split"]; a.Live != 4 || a.Down != 15 || all.Live != 4 || all.Down != 20 {
		t.Errorf("got %+v", sums)
	}
}

// BenchmarkTotals is what a snapshot costs with 10,000 connections.
func BenchmarkTotals(b *testing.B) {
	p := New(Config{Path: []string{"outbound.split"}, IdleTimeout: time.Hour})
	for range 10_000 {
		c := &fakeConnection{over: core.TCP}
		c.cutBy.Choose("outbound.a")
		if err := p.live.enter(c, nil); err != nil {
			b.Fatal(err)
		}
		defer p.live.leave(c)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Totals(true)
		p.Outbounds(map[string]Sum{})
	}
}
