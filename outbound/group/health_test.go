package group_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// TestFallAndRise takes the first member down and up again.
func TestFallAndRise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		a := w.members[0]
		w.want("a")
		a.set(errRefused, 0)
		for range 3 {
			w.want("b")
		}
		if a.dials() != 4 || w.lines("member is out") != 1 {
			t.Errorf("got %d dials and %d lines, want 4 and 1", a.dials(), w.lines("member is out"))
		}
		w.want("b") // a rests
		if a.dials() != 4 {
			t.Errorf("a member that rests was dialled")
		}
		time.Sleep(30 * time.Second)
		w.want("b") // the trial failed
		w.want("b")
		if a.dials() != 5 {
			t.Errorf("trials: got %d dials, want one more", a.dials())
		}
		a.set(nil, 0)
		w.want("b")
		time.Sleep(30 * time.Second)
		w.want("a")
		w.want("a")
		if w.lines("member is in again") != 1 {
			t.Errorf("log:\n%s", w.log)
		}
		a.set(errRefused, 0)
		w.want("b")
		a.set(nil, 0)
		w.want("a") // one failure is none
	})
}

// TestFlapping has a member fail every second time: it stays in. Then it fails three times in
// four: it goes out once in its rest at most.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		a := w.members[0]
		for i := range 100 {
			a.set([]error{nil, errRefused}[i%2], 0)
			w.want([]string{"a", "b"}[i%2])
		}
		if w.lines("member is out") != 0 {
			t.Errorf("log:\n%s", w.log)
		}
		for i := range 600 { // ten minutes
			a.set([]error{errRefused, errRefused, errRefused, nil}[i%4], 0)
			if _, err := w.dial(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		if n := w.lines("member is out"); n < 1 || n > 20 {
			t.Errorf("out %d times in ten minutes, want 1 to 20", n)
		}
	})
}

// TestOneTrial has many requests come when a rest has ended: one of them is the trial.
func TestOneTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		a := w.members[0]
		a.set(errRefused, 0)
		for range 3 {
			w.want("b")
		}
		time.Sleep(30 * time.Second)
		a.set(errRefused, time.Second)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { w.want("b") })
		}
		all.Wait()
		if a.dials() != 4 {
			t.Errorf("got %d trials, want 1", a.dials()-3)
		}
	})
}

// TestAllDown fails both members, with each option.
func TestAllDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, option := range []string{"try", "refuse"} {
			w := newWorld(t, 2, first{}, func(o *group.Options) { o.AllDown = option })
			w.members[0].set(errRefused, 0)
			w.members[1].set(errRefused, 0)
			for range 3 {
				_, err := w.dial(t.Context())
				if err == nil || err.Error() != "a: dial 192.0.2.1:8388: connection refused; b: dial 192.0.2.1:8388: connection refused" {
					t.Errorf("got %v, want both causes", err)
				}
				if core.ReasonOf(err) != "refused" {
					t.Errorf("reason: got %q", core.ReasonOf(err))
				}
			}
			w.members[0].set(nil, 0)
			w.members[1].set(nil, 0)
			_, err := w.dial(t.Context())
			if option == "try" && err != nil || option == "refuse" && !errors.Is(err, group.ErrAllDown) {
				t.Errorf("%s: got %v", option, err)
			}
		}
	})
}

// TestSwitch cuts the streams of a member that was left, or does not.
func TestSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, option := range []string{"leave", "cut"} {
			w := newWorld(t, 2, first{}, func(o *group.Options) { o.OnSwitch = option })
			r := newRequest("192.0.2.1:80")
			if _, err := w.dialer.DialStream(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if n := w.group.Members()[0].Running(); n != 1 {
				t.Errorf("running: got %d, want 1", n)
			}
			w.members[0].set(errRefused, 0)
			for range 3 {
				w.want("b")
			}
			if cut := r.Flow.Cause() != nil; cut != (option == "cut") {
				t.Errorf("%s: cut: %t", option, cut)
			}
			r.Flow.End()
			if n := w.group.Members()[0].Running(); n != 0 {
				t.Errorf("running: got %d, want 0", n)
			}
			other := newRequest("192.0.2.1:80")
			if _, err := w.dialer.DialStream(t.Context(), other); err != nil { // through b
				t.Fatal(err)
			}
			w.members[0].set(nil, 0)
			time.Sleep(30 * time.Second)
			w.want("a")
			w.want("a")
			w.want("a")
			if cut := other.Flow.Cause() != nil; cut != (option == "cut") {
				t.Errorf("%s: cut after the return: %t", option, cut)
			}
			other.Flow.End()
		}
	})
}

// silentStream opens a stream that sends to a target, and ends it after a while without an
// answer.
func (w *world) silentStream(target string, after time.Duration) {
	w.t.Helper()
	r := newRequest(target)
	s, err := w.dialer.DialStream(context.Background(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Flow.Up.Add(5)
	time.Sleep(after)
	s.Close()
	r.Flow.End()
}

// TestSilence has streams end without an answer: only those of many targets say something of
// the member, and an answer says the contrary.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		a := w.group.Members()[0]
		for range 20 { // one target that is down
			w.silentStream("192.0.2.1:80", 10*time.Second)
		}
		for i := range 20 { // clients that give up soon
			w.silentStream(fmt.Sprintf("192.0.2.%d:80", i), time.Second)
		}
		for i := range 20 { // now and then there is an answer
			w.silentStream(fmt.Sprintf("192.0.2.%d:80", i), 10*time.Second)
			w.want("a")
		}
		if a.IsOut() {
			t.Fatalf("out without a reason:\n%s", w.log)
		}
		for i := range 4 {
			w.silentStream(fmt.Sprintf("192.0.2.%d:80", i), 10*time.Second)
		}
		if !a.IsOut() || w.lines("no answer from any target") != 1 {
			t.Fatalf("still in after four silent targets:\n%s", w.log)
		}
		w.want("b")
		time.Sleep(30 * time.Second)
		w.silentStream("192.0.2.9:80", 10*time.Second) // the trial: a dial alone says nothing
		w.want("b")
		time.Sleep(30 * time.Second)
		w.want("a") // the trial, with an answer
		w.want("a")
		if a.IsOut() {
			t.Errorf("still out after two answers")
		}
	})
}

// TestMistakes are of options.
func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*group.Options)
		key    string
	}{
		{"no members", func(o *group.Options) { o.Members = nil }, "members"},
		{"twice", func(o *group.Options) { o.Members = append(o.Members, "a") }, "members.1"},
		{"no probe target", func(o *group.Options) { o.Probe = &group.Probe{Every: 1e9, Timeout: 1e9} }, "probe.target"},
		{"bounds", func(o *group.Options) { o.Fall = 0 }, "fall"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options()
			o.Members = []core.Ref[core.Outbound]{"a"}
			tc.change(&o)
			env := coretest.Env(t)
			env.Graph = coretest.Graph{core.Ref[core.Outbound]("a"): newMember()}
			_, err := group.New(env, o, first{})
			if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != tc.key {
				t.Errorf("got %v, want an error at %s", err, tc.key)
			}
		})
	}
}
func TestChoices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, first{}, nil)
		want := func(want string) {
			t.Helper()
			all, err := w.group.Choices(t.Context(), newRequest("192.0.2.1:80"), false)
			got := ""
			for _, c := range all {
				got += string(c.Verdict) + " "
			}
			if err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
		want("yes spare no ")
		w.members[0].set(errRefused, 0)
		for range 3 {
			w.want("b")
		}
		want("no yes spare ")
		want("no yes spare ")
		all, _ := w.group.Choices(t.Context(), newRequest("192.0.2.1:80"), false)
		if text := all[0].Text; !strings.HasPrefix(text, "down since ") || !strings.HasSuffix(text, "connection refused") {
			t.Errorf("got %q", text)
		}
		w.want("b") // the dry runs began no trial
		time.Sleep(30 * time.Second)
		want("yes spare no ")
		w = newWorld(t, 1, first{}, func(o *group.Options) { o.AllDown, o.Fall = "refuse", 1 })
		w.members[0].set(errRefused, 0)
		_, _ = w.dial(t.Context())
		if _, err := w.group.Choices(t.Context(), newRequest("192.0.2.1:80"), false); !errors.Is(err, group.ErrAllDown) {
			t.Errorf("got %v", err)
		}
	})
}

// TestSilentStreams has streams wait for an answer and not end: the next request sees that,
// and takes another member.
func TestSilentStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		a := w.group.Members()[0]
		open := func(target string) *core.Flow {
			r := newRequest(target)
			if _, err := w.dialer.DialStream(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			r.Flow.Up.Add(5)
			return r.Flow
		}
		for range 20 { // more than are watched
			defer open("192.0.2.1:80").End()
		}
		time.Sleep(10 * time.Second)
		w.want("a")
		for i := range 3 {
			defer open(fmt.Sprintf("192.0.2.%d:80", 10+i)).End()
		}
		talks := open("192.0.2.20:80")
		defer talks.End()
		talks.Down.Add(1)
		time.Sleep(10 * time.Second)
		w.want("a") // one has an answer
		idle := open("192.0.2.30:80")
		idle.Up.Store(0) // its client has sent nothing
		defer idle.End()
		for i := range 3 {
			defer open(fmt.Sprintf("192.0.2.%d:80", 10+i)).End()
		}
		time.Sleep(10 * time.Second)
		if w.want("a"); a.IsOut() {
			t.Fatalf("out without a reason:\n%s", w.log)
		}
		time.Sleep(time.Millisecond)
		for i := range 4 {
			defer open(fmt.Sprintf("192.0.2.%d:80", 10+i)).End()
		}
		time.Sleep(4 * time.Second)
		if _, err := w.group.Choices(t.Context(), newRequest("192.0.2.1:80"), false); err != nil || a.IsOut() {
			t.Errorf("got %v, out: %t", err, a.IsOut())
		}
		time.Sleep(2 * time.Second)
		w.want("b")
		if !a.IsOut() {
			t.Error("still in")
		}
	})
}
