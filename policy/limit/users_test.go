package limit

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

func ptr[T any](v T) *T { return &v }

// fresh returns users under options, and what they log.
func fresh(o Options, node string) (*users, *strings.Builder) {
	if o.QuotaResetDay == 0 {
		o.QuotaResetDay = 1
	}
	log := new(strings.Builder)
	env := core.Env{Name: "test", Log: slog.New(slog.NewTextHandler(log, nil))}
	return newUsers(env, node, &o, time.Now()), log
}

// open enters a flow that must be admitted.
func open(t testing.TB, us *users, name string) (*core.Flow, *meter) {
	t.Helper()
	f := new(core.Flow)
	m, _, err := us.enter(name, f, time.Now())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return f, m
}

// refused checks that a user may not enter, and why.
func refused(t testing.TB, us *users, name, why string) {
	t.Helper()
	_, _, err := us.enter(name, new(core.Flow), time.Now())
	if !errors.Is(err, core.ErrDenied) || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: got %v, want that %s", name, err, why)
	}
}

func ignore(store.Entry) {}

func TestUsersConnections(t *testing.T) {
	us, _ := fresh(Options{ConnectionsPerUser: 2, Users: map[string]User{"bob": {Connections: ptr(3)}, "root": {Connections: ptr(0)}}}, "n")
	f, _ := open(t, us, "alice")
	open(t, us, "alice")
	refused(t, us, "alice", "has 2 connections")
	for range 3 {
		open(t, us, "bob")
	}
	refused(t, us, "bob", "has 3 connections")
	for range 50 {
		open(t, us, "root")
		open(t, us, "") // which is nobody's
	}
	us.leave(f)
	us.leave(f) // which counts once
	us.leave(new(core.Flow))
	open(t, us, "alice")
	refused(t, us, "alice", "has 2 connections")
}

func TestUsersNameless(t *testing.T) {
	us, log := fresh(Options{ConnectionsPerUser: 1, Nameless: true}, "n")
	open(t, us, "")
	refused(t, us, "", "has 1 connections")
	open(t, us, "alice")
	if log.Len() > 0 {
		t.Errorf("got the log %s", log)
	}
	us, log = fresh(Options{ConnectionsPerUser: 1}, "n")
	open(t, us, "")
	open(t, us, "")
	if strings.Count(log.String(), "nameless = true") != 1 {
		t.Errorf("got the log %s, want one line", log)
	}
	us, log = fresh(Options{ConnectionsPerClient: 1}, "n")
	open(t, us, "")
	if log.Len() > 0 {
		t.Errorf("got the log %s", log)
	}
}

func TestUsersRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us, _ := fresh(Options{NewPerSecondPerUser: 1, NewBurst: 2, Users: map[string]User{"root": {NewPerSecond: ptr(0.0)}}}, "n")
		for range 3 {
			for range 2 {
				f, _ := open(t, us, "alice")
				us.leave(f)
			}
			refused(t, us, "alice", "too many connections a second")
			open(t, us, "bob")
			for range 20 {
				open(t, us, "root")
			}
			us.tick(time.Now(), ignore)
			refused(t, us, "alice", "too many connections a second") // who is not forgotten
			time.Sleep(2 * time.Second)
		}
	})
}

// TestQuota spends one: the flow that does is ended, and so is what else runs for the
// user and what comes; nobody else's is.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us, log := fresh(Options{QuotaPerUser: 1000, QuotaResetDay: 15, Users: map[string]User{"root": {Quota: ptr(option.Size(0))}}}, "n")
		_, m := open(t, us, "alice")
		idle, _ := open(t, us, "alice")
		bob, other := open(t, us, "bob")
		if _, err := m.Take(400, 500); err != nil {
			t.Errorf("got %v, want nothing amiss", err)
		}
		if _, err := m.Take(0, 100); !errors.Is(err, core.ErrDenied) || !strings.Contains(err.Error(), "quota of 1000B is spent until 2000-01-15") {
			t.Errorf("got %v, want that the quota is spent", err)
		}
		refused(t, us, "alice", "quota")
		us.tick(time.Now(), ignore)
		us.tick(time.Now(), ignore)
		if err := idle.Cause(); !errors.Is(err, core.ErrDenied) || !strings.Contains(err.Error(), "quota") {
			t.Errorf("got the cause %v, want the quota", err)
		}
		if _, err := other.Take(999, 0); err != nil || bob.Cause() != nil {
			t.Errorf("bob: got %v, %v, want nothing amiss", err, bob.Cause())
		}
		_, root := open(t, us, "root")
		if _, err := root.Take(math.MaxInt, math.MaxInt); err != nil {
			t.Errorf("root: got %v, want no bound", err)
		}
		if strings.Count(log.String(), "quota spent") != 1 || !strings.Contains(log.String(), "user=alice bytes=1000") {
			t.Errorf("got the log %s, want one line on alice", log)
		}
		time.Sleep(time.Until(time.Date(2000, 1, 15, 0, 0, 0, 0, time.UTC)) - time.Second)
		refused(t, us, "alice", "quota")
		time.Sleep(time.Second)
		_, m = open(t, us, "alice")
		if _, err := m.Take(999, 0); err != nil {
			t.Errorf("in the next period: got %v", err)
		}
		if _, err := other.Take(999, 0); err != nil {
			t.Errorf("bob in the next period: got %v", err)
		}
		if _, err := other.Take(1, 0); !errors.Is(err, core.ErrDenied) {
			t.Errorf("bob: got %v, want that the quota is spent", err)
		}
	})
}

// TestQuotaReload changes a quota under what runs.
func TestQuotaReload(t *testing.T) {
	us, _ := fresh(Options{}, "n")
	f, m := open(t, us, "alice")
	if _, err := m.Take(500, 500); err != nil {
		t.Error(err)
	}
	us.configure(&Options{QuotaPerUser: 2000, QuotaResetDay: 1}, time.Now())
	us.tick(time.Now(), ignore)
	if _, err := m.Take(999, 0); err != nil || f.Cause() != nil {
		t.Errorf("got %v, %v, want nothing amiss", err, f.Cause())
	}
	us.configure(&Options{QuotaPerUser: 1500, QuotaResetDay: 1}, time.Now())
	us.tick(time.Now(), ignore)
	if !errors.Is(f.Cause(), core.ErrDenied) {
		t.Errorf("got the cause %v, want the quota", f.Cause())
	}
	us.configure(&Options{QuotaPerUser: 1 << 20, QuotaResetDay: 1}, time.Now())
	open(t, us, "alice")
}

// TestUsersForgotten has many names come and go.
func TestUsersForgotten(t *testing.T) {
	us, _ := fresh(Options{}, "n")
	var flows []*core.Flow
	for i := range maxUsers {
		f, m := open(t, us, fmt.Sprint(i))
		flows = append(flows, f)
		_, _ = m.Take(1, 1)
	}
	refused(t, us, "one more", "65536 users")
	us.tick(time.Now(), ignore)
	for _, f := range flows[:100] {
		us.leave(f)
	}
	us.tick(time.Now(), ignore)
	if len(us.all) != maxUsers-100 || len(us.flows) != maxUsers-100 {
		t.Errorf("got %d users and %d flows, want %d", len(us.all), len(us.flows), maxUsers-100)
	}
	open(t, us, "one more")
}

// TestUsersBandwidth has the bandwidths of a user and of all hold, each way by itself.
func TestUsersBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us, _ := fresh(Options{
			BandwidthPerUser: option.Bandwidth{Up: 1 * mib, Down: 10 * mib}, Bandwidth: option.Bandwidth{Down: 12 * mib},
			Users: map[string]User{"root": {Bandwidth: &option.Bandwidth{}}},
		}, "n")
		moved := map[string]*[2]int64{}
		done := make(chan struct{})
		running := 0
		run := func(name string, up, down int) {
			if moved[name] == nil {
				moved[name] = new([2]int64)
			}
			into := moved[name]
			_, m := open(t, us, name)
			running++
			go func() {
				defer func() { done <- struct{}{} }()
				for began := time.Now(); time.Since(began) < time.Minute; {
					wait, err := m.Take(up, down)
					if err != nil {
						t.Error(err)
					}
					into[0] += int64(up)
					into[1] += int64(down)
					time.Sleep(max(wait, time.Millisecond))
				}
			}()
		}
		run("alice", 64*kib, 0)
		run("bob", 0, 64*kib)
		run("root", 64*kib, 0)
		run("carol", 0, 64*kib)
		for range running {
			<-done
		}
		within(t, "alice up", moved["alice"][0], 60*mib, 3)
		within(t, "bob and carol down", moved["bob"][1]+moved["carol"][1], 12*60*mib, 3)
		within(t, "bob down", moved["bob"][1], 6*60*mib, 5)
		within(t, "root up", moved["root"][0], 60*1000*64*kib, 3)
	})
}
