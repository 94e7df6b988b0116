package journey

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

var (
	begin     = time.Unix(1000, 0)
	target, _ = core.ParseAddr("Example.com:443")
)

// ended is the end of a connection whose client waited for a time, at some second.
func ended(second int, wait time.Duration, err error) core.Event {
	at := begin.Add(time.Duration(second) * time.Second)
	f := new(core.Flow)
	f.Record()
	f.Step(core.Step{Kind: core.StepDial, Name: "outbound.a"})
	kind := core.Closed
	if err != nil {
		kind = core.DialFailed
	}
	return core.Event{
		Kind: kind, Pipeline: "p", Path: []string{"outbound.a"}, Err: err,
		Client:  core.Client{Network: core.TCP, Addr: netip.MustParseAddrPort("192.0.2.7:4000")},
		Request: &core.Request{ID: 1, Network: core.TCP, User: "alice", Target: target, Flow: f},
		Stages:  core.Stages{Accepted: at, Requested: at, Reached: at.Add(wait), Ended: at.Add(time.Second)},
	}
}

func stranger() core.Event {
	return core.Event{Kind: core.HandshakeFailed, Pipeline: "p", Err: core.ErrAuth, Client: core.Client{Network: core.TCP}}
}

// A recorder that is off keeps nothing, and wants no steps.
func TestSwitch(t *testing.T) {
	r := NewRecorder()
	r.Observe(ended(0, 0, nil))
	if r.WantsSteps() || len(r.Records(Filter{}, 0, 1000)) != 0 {
		t.Fatal("off: got a record")
	}
	r.Switch(true)
	r.Observe(ended(0, 0, nil))
	if all := r.Records(Filter{}, 0, 1000); !r.WantsSteps() || len(all) != 1 || len(all[0].Steps) != 1 {
		t.Fatalf("on: got %v", all)
	}
	r.Switch(false)
	if len(r.Records(Filter{}, 0, 1000)) != 0 {
		t.Error("switched off: got a record")
	}
}

// Failures and the slowest outlast any number of others, and failures of requests any
// number of strangers.
func TestKept(t *testing.T) {
	r := NewRecorder()
	r.Switch(true)
	for i := range maxFailed {
		r.Observe(ended(0, 0, fmt.Errorf("failure %d", i)))
	}
	for i := range maxSlow {
		r.Observe(ended(0, time.Minute+time.Duration(i), nil))
	}
	for range 10_000 {
		r.Observe(ended(1, time.Millisecond, nil))
		r.Observe(stranger())
	}
	var failed, slow, strangers, others int
	for _, rec := range r.Records(Filter{}, 0, 1000) {
		switch {
		case rec.ID == 0:
			strangers++
		case rec.Err != nil:
			failed++
		case rec.wait >= time.Minute:
			slow++
		default:
			others++
		}
	}
	if failed != maxFailed || slow != maxSlow || strangers != maxStrangers || others != 1 {
		t.Errorf("got %d failures, %d slow ones, %d strangers and %d others of one instant", failed, slow, strangers, others)
	}
	r.Observe(ended(int(slowFor/time.Second)+10, time.Millisecond, nil))
	for _, rec := range r.Records(Filter{}, 0, 1000) {
		if rec.wait >= time.Minute {
			t.Fatal("the slowest are remembered for ever")
		}
	}
}

func TestFilter(t *testing.T) {
	r := NewRecorder()
	r.Switch(true)
	r.Observe(ended(0, time.Second, nil))
	r.Observe(ended(1, 0, core.ErrAuth))
	r.Observe(stranger())
	for _, tc := range []struct {
		f    Filter
		want int
	}{
		{Filter{}, 3}, {Filter{Pipeline: "p"}, 3}, {Filter{Pipeline: "q"}, 0}, {Filter{User: "alice"}, 2}, {Filter{Failed: true}, 2},
		{Filter{Outbound: "outbound.a", Failed: true}, 1}, {Filter{Outbound: "outbound.b"}, 0}, {Filter{Network: core.UDP}, 0},
		{Filter{Text: "example"}, 2}, {Filter{Text: "192.0.2"}, 2}, {Filter{Text: "nowhere"}, 0},
	} {
		if got := r.Records(tc.f, 0, 1000); len(got) != tc.want {
			t.Errorf("%+v: got %d records, want %d", tc.f, len(got), tc.want)
		}
	}
	if got := r.Records(Filter{}, 1, 1); len(got) != 1 || got[0].Number != 3 {
		t.Errorf("after 1, at most 1: got %v, want the last", got)
	}
}

// A reader gets every record that matches; one that does not read is dropped, and holds up
// nobody.
func TestReaders(t *testing.T) {
	r := NewRecorder()
	r.Switch(true)
	good, lazy := r.Read(Filter{User: "alice"}), r.Read(Filter{})
	var reading, observing sync.WaitGroup
	got := 0
	reading.Go(func() {
		for range good.Records() {
			if got++; got == 3*maxUnread {
				return
			}
		}
	})
	for range 3 * maxUnread {
		observing.Go(func() {
			for {
				r.mu.Lock()
				room := len(good.records) < maxUnread/2 // this test is about the other one
				r.mu.Unlock()
				if room {
					break
				}
			}
			r.Observe(ended(0, 0, nil))
		})
		r.Observe(stranger())
		observing.Wait()
	}
	reading.Wait()
	if got != 3*maxUnread || good.Dropped() || !lazy.Dropped() {
		t.Errorf("got %d records; dropped: %t and %t", got, good.Dropped(), lazy.Dropped())
	}
	r.Close(good)
	r.Close(lazy)
	if len(r.readers) != 0 {
		t.Error("readers that were closed are kept")
	}
}

func BenchmarkObserve(b *testing.B) {
	r := NewRecorder()
	r.Switch(true)
	e := ended(0, time.Millisecond, nil)
	b.ReportAllocs()
	for b.Loop() {
		r.Observe(e)
	}
}
