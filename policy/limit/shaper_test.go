package limit

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
)

// sender is a flow that moves bursts of a size, with a pause between, from an instant
// on and until another.
type sender struct {
	burst       int
	pause       time.Duration
	from, until time.Duration
	bursts      int // 0 for as many as there is time for

	share   share
	moved   int64
	longest time.Duration // wait
	next    time.Duration
}

// play has senders share a shaper for a time. What they move in the first fifth of it,
// when there is nobody yet or all come at once, does not count.
func play(t testing.TB, limit option.Size, lasts time.Duration, all ...*sender) *shaper {
	t.Helper()
	began := time.Now()
	s := new(shaper)
	s.set(limit, began)
	for _, f := range all {
		f.next = f.from
		if f.until == 0 {
			f.until = lasts
		}
	}
	for {
		var first *sender
		for _, f := range all {
			if first == nil || f.next < first.next {
				first = f
			}
		}
		if first.next >= lasts {
			return s
		}
		wait := s.take(&first.share, first.burst, began.Add(first.next))
		if first.next >= lasts/5 {
			first.moved += int64(first.burst)
		}
		first.longest = max(first.longest, wait)
		first.next += max(wait, time.Microsecond) + first.pause
		if first.bursts--; first.bursts == 0 || first.next >= first.until {
			first.next = lasts
		}
	}
}

// within checks that got is want or up to so many percent off.
func within[N int | int64](t *testing.T, what string, got N, want, percent float64) {
	t.Helper()
	if off := (float64(got)/want - 1) * 100; off > percent || off < -percent {
		t.Errorf("%s: got %d, want %.0f within %.0f %%", what, got, want, percent)
	}
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// TestShaperRate has flows of all kinds keep to the bandwidth.
func TestShaperRate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []option.Size{16 * kib, 100 * kib, mib, 100 * mib} {
		for _, flows := range []int{1, 2, 10, 100} {
			for _, burst := range []int{1400, 16 * kib, 128 * kib, mib} {
				lasts := 60 * time.Second
				lasts = min(lasts, time.Duration(4e4*float64(burst)/float64(limit)*float64(time.Second)))
				lasts = max(lasts, time.Duration(40*float64(flows*burst)/float64(limit)*float64(time.Second)))
				var all []*sender
				for range flows {
					all = append(all, &sender{burst: burst, from: time.Duration(random.Int64N(int64(lasts) / 100))})
				}
				play(t, limit, lasts, all...)
				total := int64(0)
				for _, f := range all {
					total += f.moved
				}
				counted := float64(limit) * lasts.Seconds() * 4 / 5
				name := option.Size(limit).String() + "/s"
				within(t, name+" of all", total, counted, 6)
				for _, f := range all {
					within(t, name+" of one", f.moved, counted/float64(flows), 15)
				}
				if t.Failed() {
					t.Fatalf("%d flows, bursts of %d bytes", flows, burst)
				}
			}
		}
	}
}

// TestShaperFair has flows that move unlike bursts: each that wants to gets the same.
func TestShaperFair(t *testing.T) {
	big, small := &sender{burst: mib}, &sender{burst: 16 * kib}
	play(t, mib, 5*time.Minute, big, small)
	within(t, "of large bursts", big.moved, 120*mib, 5)
	within(t, "of small bursts", small.moved, 120*mib, 5)
}

// TestShaperLight has a flow that sends little beside some that send all they can: it
// hardly waits.
func TestShaperLight(t *testing.T) {
	light := &sender{burst: 100, pause: 50 * time.Millisecond, from: time.Second}
	all := []*sender{light}
	for range 8 {
		all = append(all, &sender{burst: 128 * kib})
	}
	play(t, mib, time.Minute, all...)
	if light.longest > 5*time.Millisecond {
		t.Errorf("a light flow waited for %s, want 5ms at the most", light.longest)
	}
}

// TestShaperRestless has flows of unlike bursts come and go, and pause, at random: all
// together keep to the bandwidth, but for two bursts of each.
func TestShaperRestless(t *testing.T) {
	for range 10 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		const lasts = time.Hour
		var all []*sender
		for range 100 {
			from := time.Duration(random.Int64N(int64(lasts)))
			all = append(all, &sender{
				burst: 1 + random.IntN(mib), pause: time.Duration(random.Int64N(int64(3 * time.Second))),
				from: from, until: from + time.Duration(random.Int64N(int64(lasts))),
			})
		}
		play(t, mib, lasts, all...)
		total, most := int64(0), float64(mib)*lasts.Seconds()*4/5
		for _, f := range all {
			total += f.moved
			most += float64(2 * f.burst)
		}
		if float64(total) > most {
			t.Errorf("seed %d: got %d bytes, want %.0f at the most", seed, total, most)
		}
	}
}

// TestShaperShort has many short flows, each of which is over before it can wait: those
// that last wait for what those have taken.
func TestShaperShort(t *testing.T) {
	var all []*sender
	total := int64(0)
	for i := range 600 {
		all = append(all, &sender{burst: 128 * kib, bursts: 1, from: time.Duration(i) * 100 * time.Millisecond})
	}
	long := &sender{burst: 128 * kib, from: 30 * time.Second}
	all = append(all, long)
	play(t, mib, time.Minute, all...)
	for _, f := range all {
		total += f.moved
	}
	if long.moved > 2*mib {
		t.Errorf("got %d bytes of the one that lasts, want little: the others take all", long.moved)
	}
	t.Logf("%d bytes in all", total)
}

// TestShaperPause has a burst of a tenth of a second pass at once after a pause, and no
// more.
func TestShaperPause(t *testing.T) {
	s, now, of := new(shaper), time.Now(), new(share)
	s.set(mib, now)
	for range 3 {
		if wait := s.take(of, mib/10, now); wait != 0 {
			t.Errorf("got a wait of %s, want none", wait)
		}
		if wait := s.take(of, mib/10, now); wait < 99*time.Millisecond || wait > 101*time.Millisecond {
			t.Errorf("got a wait of %s, want 100ms", wait)
		}
		now = now.Add(time.Hour)
	}
}

// TestShaperChanges takes a bandwidth away and gives one.
func TestShaperChanges(t *testing.T) {
	s, now, of := new(shaper), time.Now(), new(share)
	if wait := s.take(of, 1<<30, now); wait != 0 {
		t.Errorf("without a bandwidth: got a wait of %s", wait)
	}
	s.set(mib, now)
	if wait := s.take(of, 10*mib, now); wait < 9*time.Second {
		t.Errorf("got a wait of %s, want 10s", wait)
	}
	s.set(10*mib, now)
	if wait := s.take(of, 10*mib, now.Add(20*time.Second)); wait < 500*time.Millisecond || wait > time.Second {
		t.Errorf("got a wait of %s, want 0.9s", wait)
	}
	s.set(0, now)
	if wait := s.take(of, 1<<30, now); wait != 0 || len(s.busy) != 0 {
		t.Errorf("got a wait of %s", wait)
	}
}

// TestShaperForgets has flows come and go: those that have gone are kept for no longer
// than they waited.
func TestShaperForgets(t *testing.T) {
	var all []*sender
	for i := range 1000 {
		all = append(all, &sender{burst: 16 * kib, bursts: 2, from: time.Duration(i) * 100 * time.Millisecond})
	}
	if s := play(t, mib, 100*time.Second, all...); len(s.busy) > 2 {
		t.Errorf("got %d flows, want those of a moment", len(s.busy))
	}
}

// TestShaperLarge has numbers of bytes that 32 bits can't hold: the burst of a large
// bandwidth, and what many flows have moved together.
func TestShaperLarge(t *testing.T) {
	s, now := new(shaper), time.Now()
	s.set(1<<50, now)
	if got := s.limiter.Burst(); got < 1<<30 {
		t.Errorf("got bursts of %d bytes, want 1 GiB at least", got)
	}
	s.set(mib, now)
	for range 4095 {
		s.owe(mib, now)
		s.busy = append(s.busy, &share{until: now.Add(time.Hour), busy: true})
	}
	if wait := s.take(new(share), mib, now); wait < 4094*time.Second {
		t.Errorf("got a wait of %s beside 4095 flows, want 4096s", wait)
	}
}
