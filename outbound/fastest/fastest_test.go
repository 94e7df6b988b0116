package fastest_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound/fastest"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// member is an outbound that takes a while to dial.
type member struct {
	*coretest.Dialer
	mu    sync.Mutex
	delay time.Duration // guarded by mu
}

func (m *member) Over(core.Dialer) (core.Dialer, error) { return m, nil }

func (m *member) set(delay time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delay = delay
}

// newWorld returns a group of members with delays.
func newWorld(t testing.TB, delays ...time.Duration) (core.Dialer, []*member) {
	t.Helper()
	env, graph := coretest.Env(t), coretest.Graph{}
	o := fastest.Options{Within: option.Duration(30 * time.Millisecond), Measure: option.Duration(2 * time.Minute)}
	o.Options = group.Options{Attempts: 2, Fall: 3, Rise: 2, Rest: option.Duration(30 * time.Second), AllDown: "try", OnSwitch: "cut"}
	var all []*member
	for i, delay := range delays {
		name := core.Ref[core.Outbound](string(rune('a' + i)))
		m := &member{Dialer: coretest.NewDialer(), delay: delay}
		m.Stream = func(context.Context, *core.Request) (core.Stream, error) {
			m.mu.Lock()
			wait := m.delay
			m.mu.Unlock()
			time.Sleep(wait)
			near, _ := coretest.Pipe()
			return near, nil
		}
		graph[name] = m
		o.Members, all = append(o.Members, name), append(all, m)
	}
	env.Graph = graph
	out, err := fastest.New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := out.Over(coretest.NewDialer())
	if err != nil {
		t.Fatal(err)
	}
	return d, all
}

func dial(t *testing.T, d core.Dialer) (string, *core.Flow) {
	t.Helper()
	r := &core.Request{Network: core.TCP, Flow: new(core.Flow)}
	if _, err := d.DialStream(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r.Flow.Chosen()[0], r.Flow
}

// TestFastest measures each member once and takes the fastest from then on, until another one
// is faster by more than within.
func TestFastest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, all := newWorld(t, 80*time.Millisecond, 40*time.Millisecond, 200*time.Millisecond)
		seen := map[string]int{}
		for range 3 {
			m, _ := dial(t, d)
			seen[m]++
		}
		if len(seen) != 3 {
			t.Errorf("got %v, want each member measured", seen)
		}
		want := func(member string) *core.Flow {
			t.Helper()
			got, flow := dial(t, d)
			if got != member {
				t.Errorf("got %s, want %s", got, member)
			}
			return flow
		}
		flow := want("outbound.b")
		want("outbound.b")
		all[0].set(20 * time.Millisecond) // faster, by less than within
		time.Sleep(3 * time.Minute)
		seen = map[string]int{}
		for range 20 {
			m, _ := dial(t, d)
			seen[m]++
		}
		if seen["outbound.b"] < 17 {
			t.Errorf("got %v, want all but the measurements by the member that served", seen)
		}
		if flow.Cause() != nil {
			t.Errorf("a measurement cut a stream: %v", flow.Cause())
		}
		all[1].set(300 * time.Millisecond)
		for range 20 {
			dial(t, d)
		}
		want("outbound.a")
		if flow.Cause() == nil {
			t.Error("the streams of the member that was left run on, with on_switch = cut")
		}
	})
}

// TestFlapping has two members change places within the bounds again and again: one serves.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, all := newWorld(t, 50*time.Millisecond, 50*time.Millisecond)
		for range 2 {
			dial(t, d)
		}
		first, _ := dial(t, d)
		switches, last := 0, first
		for i := range 200 {
			all[i%2].set(40 * time.Millisecond)
			all[1-i%2].set(60 * time.Millisecond)
			m, _ := dial(t, d)
			if m != last {
				switches++
			}
			last = m
			time.Sleep(time.Second)
		}
		if switches > 6 { // measurements, there and back
			t.Errorf("got %d switches", switches)
		}
	})
}
