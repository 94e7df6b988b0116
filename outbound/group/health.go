package group

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// health is what is known of one member. It outlives a reload that leaves the tables of the
// member unchanged, and is shared by the old and the new group then.
type health struct {
	out      atomic.Bool
	troubled atomic.Bool  // there are failures or silences
	running  atomic.Int64 // connections and associations
	delay    atomic.Int64 // an average, in nanoseconds
	measured atomic.Int64 // when, in Unix nanoseconds; 0 before the first time
	watched  watched

	mu        sync.Mutex
	failures  int                     // in a row; guarded by mu, as all that follows
	successes int                     // in a row, while it is out
	silent    []silence               // streams without an answer, with different targets, since the last answer
	answered  time.Time               // when the latest connection began that had an answer
	mute      bool                    // it is out because nothing was answered
	since     time.Time               // when it went out or came in
	until     time.Time               // the end of its rest
	trial     time.Time               // when the trial began that is under way; zero if there is none
	tried     *core.Flow              // of the trial, if mute: an answer decides
	reason    string                  // why it went out, or what failed last
	flows     map[*core.Flow]struct{} // of its streams, with on_switch = "cut"
}

// silence is a connection that sent bytes and got none.
type silence struct {
	target core.Addr
	began  time.Time
}

// change is what became of a member.
type change uint8

const (
	unchanged change = iota
	wentOut
	cameIn
)

// succeed notes a success. f is the flow of the request, or nil for a probe, which is an
// answer by itself.
func (h *health) succeed(now time.Time, rise int, f *core.Flow, answered bool) change {
	if !h.troubled.Load() && !h.out.Load() {
		return unchanged
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
	if answered {
		h.silent = nil
	}
	h.troubled.Store(len(h.silent) > 0)
	if !h.out.Load() {
		return unchanged
	}
	if h.mute && !answered {
		h.tried = f // see claim
		return unchanged
	}
	return h.rose(now, rise)
}

// rose counts a success of a member that is out. mu is held.
func (h *health) rose(now time.Time, rise int) change {
	h.trial, h.tried = time.Time{}, nil
	h.successes++
	if h.successes < rise {
		h.until = now // the next trial may begin
		return unchanged
	}
	h.out.Store(false)
	h.troubled.Store(false)
	h.failures, h.silent, h.mute, h.since = 0, nil, false, now
	return cameIn
}

// fail notes a failure.
func (h *health) fail(now time.Time, fall int, rest time.Duration, reason string) change {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	h.successes = 0
	h.troubled.Store(true)
	if h.out.Load() {
		h.reason, h.until, h.trial, h.tried = reason, now.Add(rest), time.Time{}, nil
		return unchanged
	}
	if h.failures < fall {
		return unchanged
	}
	h.goOut(now, rest, reason)
	return wentOut
}

// goOut takes the member out. mu is held.
func (h *health) goOut(now time.Time, rest time.Duration, reason string) {
	h.out.Store(true)
	h.successes, h.since, h.until, h.reason = 0, now, now.Add(rest), reason
	h.trial, h.tried = time.Time{}, nil
}

// release ends a trial that said nothing of the member.
func (h *health) release() {
	if !h.out.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trial, h.tried = time.Time{}, nil
}

// hear notes an answer on a connection that began at a time. Of connections that began
// before it, none says that the member is silent.
func (h *health) hear(began time.Time) {
	if !h.troubled.Load() && !h.out.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if began.After(h.answered) {
		h.answered = began
	}
	kept := h.silent[:0]
	for _, s := range h.silent {
		if s.began.After(began) {
			kept = append(kept, s)
		}
	}
	h.silent = kept
	h.troubled.Store(len(kept) > 0 || h.failures > 0)
}

// keepSilent notes a connection that sent bytes for a while and got none. A target that is
// down is silent too, so each counts once, and the first not at all: more than fall targets
// take the member out.
func (h *health) keepSilent(now, began time.Time, target core.Addr, fall int, rest time.Duration) change {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.out.Load() {
		if h.mute {
			h.successes, h.until, h.trial, h.tried = 0, now.Add(rest), time.Time{}, nil
		}
		return unchanged
	}
	if !began.After(h.answered) {
		return unchanged
	}
	for _, s := range h.silent {
		if s.target == target {
			return unchanged
		}
	}
	h.silent = append(h.silent, silence{target, began})
	h.troubled.Store(true)
	if len(h.silent) <= fall {
		return unchanged
	}
	h.goOut(now, rest, "no answer from any target")
	h.mute, h.silent = true, nil
	return wentOut
}

// mayTry reports whether a request may go through the member, for a trial if it is out.
func (h *health) mayTry(now time.Time, rise int, rest time.Duration) (ok bool, c change) {
	if !h.out.Load() {
		return true, unchanged
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tried != nil && h.tried.Down.Load() > 0 {
		if c = h.rose(now, rise); c == cameIn {
			return true, c
		}
	}
	return h.isFree(now, rest), unchanged
}

// isAble is mayTry without its effects.
func (h *health) isAble(now time.Time, rest time.Duration) bool {
	if !h.out.Load() {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isFree(now, rest)
}

// isFree reports whether a trial may begin. mu is held. One that has lasted for longer than
// a rest does not hold up another.
func (h *health) isFree(now time.Time, rest time.Duration) bool {
	return !now.Before(h.until) && (h.trial.IsZero() || now.Sub(h.trial) >= rest)
}

// claim begins a trial if the member is out, and returns false if another one has begun.
func (h *health) claim(now time.Time, rest time.Duration) bool {
	if !h.out.Load() {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.isFree(now, rest) {
		return false
	}
	h.trial, h.tried = now, nil
	return true
}

// measure notes how long the member took.
func (h *health) measure(now time.Time, took time.Duration) {
	if took = max(took, 1); h.measured.Load() != 0 {
		old := time.Duration(h.delay.Load())
		took = old + (took-old)/4
	}
	h.delay.Store(int64(took))
	h.measured.Store(now.UnixNano())
}
