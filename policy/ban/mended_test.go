package ban

import (
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

// back returns t as time.Now gives it after the wall clock was set back by d.
func back(t time.Time, d time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) -= uint64(d/time.Second) << 30
	return t
}

// A ban that is taken back after the clock was set back is not brought back by the
// store.
func TestClockBack(t *testing.T) {
	p, _ := newPolicy(t, defaults())
	addr, now := netip.MustParsePrefix("192.0.2.7/32"), time.Now()
	set := shared{p.table, "ban/ban/"}
	var sent []store.Entry
	p.table.configure(p.rules, func(b Ban) { sent = append(sent, set.entry(b)) })
	p.table.impose(addr, time.Hour, now)
	p.table.lift(addr, back(now.Add(time.Minute), time.Hour))
	set.Merge(sent[0])
	if _, banned := p.table.banned(addr.Addr(), time.Now()); banned || !sent[1].Newer(sent[0]) {
		t.Errorf("banned %t; the lift is of %v, the ban of %v", banned, sent[1].At, sent[0].At)
	}
}

// A longer window counts no failure of before the reload.
func TestWindowGrows(t *testing.T) {
	o := defaults()
	p, _ := newPolicy(t, o)
	ip := netip.MustParseAddr("192.0.2.7")
	at := func(d time.Duration) time.Time { return p.table.began.Add(d) }
	p.table.failed(ip, authFailed, at(10*24*time.Hour))
	o.Window = option.Duration(time.Hour)
	p.table.configure(&rules{o, p.rules.weights}, func(Ban) {})
	p.table.failed(ip, authFailed, at(12*24*time.Hour))
	p.table.failed(ip, authFailed, at(20*24*time.Hour))
	if _, banned := p.table.banned(ip, at(20*24*time.Hour)); banned {
		t.Error("three failures in ten days are a ban, with a window of an hour")
	}
}

// build makes a policy with a store, as a file does that is staged or served.
func build(t *testing.T, e core.Env, place string) *Policy {
	t.Helper()
	o := defaults()
	if err := o.Store.UnmarshalText([]byte(place)); err != nil {
		t.Fatal(err)
	}
	p, err := New(e, o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Policy)
}

// A file that is refused brings no bans of its store into what is served; one that is
// served does, and one that comes back to a store finds it as it left it.
func TestRefusedFile(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		other, _ := env()
		p := build(t, other, "file:"+filepath.Join(dir, "b"))
		stop := run(t, p)
		synctest.Wait()
		p.table.impose(netip.MustParsePrefix("192.0.2.9/32"), time.Hour, time.Now())
		stop()

		e, log := env()
		live := build(t, e, "file:"+filepath.Join(dir, "a"))
		stop = run(t, live)
		synctest.Wait()
		staged := e
		staged.Stage = new(core.Stage)
		build(t, staged, "file:"+filepath.Join(dir, "b"))
		if isBanned(live, client("192.0.2.9")) {
			t.Error("a file that was refused bans in the running process")
		}
		again := build(t, e, "file:"+filepath.Join(dir, "a"))
		if again.link != live.link || log.Len() > 0 {
			t.Errorf("the store was opened twice, log %q", log)
		}
		stop()
	})
}

// A store with another password is another one.
func TestOtherPassword(t *testing.T) {
	e, _ := env()
	if build(t, e, "redis://:old@127.0.0.1:1").link == build(t, e, "redis://:new@127.0.0.1:1").link {
		t.Error("a reload with another password goes on with the old one")
	}
}

// wall is a firewall in memory.
type wall map[netip.Prefix]bool

func (wall) Guard([]uint16) error                        { return nil }
func (w wall) Ban(c netip.Prefix, _ time.Duration) error { w[c] = true; return nil }
func (w wall) Free(c netip.Prefix) error                 { delete(w, c); return nil }
func (wall) Repair() (int, error)                        { return 0, nil }
func (wall) Close() error                                { return nil }

// A client that has become exempt is removed from the kernel too.
func TestKernelExempt(t *testing.T) {
	p, _ := newPolicy(t, defaults())
	w, addr := wall{}, netip.MustParsePrefix("192.0.2.7/32")
	k := newKernel(p.table, func() []uint16 { return nil }, func() (firewall, error) { return w, nil })
	p.table.follow(k.put)
	p.table.impose(addr, time.Hour, time.Now())
	if err := k.apply(w); err != nil || !w[addr] {
		t.Fatalf("got %v, %v, want the ban", w, err)
	}
	o := defaults()
	if err := exempt(&o, "192.0.2.7/32"); err != nil {
		t.Fatal(err)
	}
	p.table.configure(&rules{o, p.rules.weights}, func(Ban) {})
	p.table.lift(addr, time.Now())
	if err := k.apply(w); err != nil || w[addr] {
		t.Errorf("got %v, %v, want no ban", w, err)
	}
	q, _ := newPolicy(t, o)
	if _, err := q.Command(t.Context(), []string{"add", "192.0.2.7"}); err == nil {
		t.Error("a ban of one that is exempt was taken, and does not hold")
	}
}

// A ban that ended so long ago that the decays since then don't fit in 32 bits counts
// for nothing.
func TestCountAtLong(t *testing.T) {
	now, decays := time.Now(), int64(1<<32-5)
	b := Ban{Until: now.Add(-time.Duration(decays) * time.Second), Count: 3}
	if got := b.countAt(now, time.Second); got != 0 {
		t.Errorf("got %d bans that count, want 0", got)
	}
}
