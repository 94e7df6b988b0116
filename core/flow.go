package core

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Meter is asked after each burst of a flow, so that it can slow or end it.
type Meter interface {
	// Take counts bytes sent up (to the target) and down. The flow waits for as
	// long as it says before it moves more; an error ends the flow.
	Take(up, down int) (wait time.Duration, err error)
}

// Flow is one running connection or UDP association: counted, metered and cut
// from anywhere. The zero Flow is ready.
type Flow struct {
	Up, Down atomic.Int64 // payload bytes delivered to the target and to the client

	answered  atomic.Int64 // when the first bytes came down, in Unix nanoseconds; 0 before, and if nothing is recorded
	recording atomic.Bool

	mu     sync.Mutex
	meters []Meter   // guarded by mu, as all that follows; only appended to
	onCut  [2]func() // the first ones, which most flows have
	rare   *rarities // nil until there is one; an idle flow costs its size
	cause  error
	done   chan struct{} // made when first asked for
	ended  bool
}

// rarities are what most flows don't have.
type rarities struct {
	onCut []func() // beyond those of Flow
	onEnd []func()
	path  []string // branches that were chosen
	whole *Flow    // of a Branch
	gave  []bool   // of a Branch, for each of path: whole got it, which had not chosen it yet

	dropped []Dropped // datagrams that were not taken by TakeDropped, by reason
	steps   []Step    // see Record

	firstEnd  [1]func() // onEnd and path begin here, as most of them end
	firstPath [2]string
}

// rarely returns the rarities. mu is held.
func (f *Flow) rarely() *rarities {
	if f.rare == nil {
		f.rare = new(rarities)
		f.rare.onEnd, f.rare.path = f.rare.firstEnd[:0], f.rare.firstPath[:0]
	}
	return f.rare
}

// Use adds a meter to the flow. Meters are added before the relay starts.
func (f *Flow) Use(m Meter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meters = append(f.meters, m)
}

// OnCut has end called once when the flow is cut, at once if it has been.
func (f *Flow) OnCut(end func()) {
	f.mu.Lock()
	cut := f.cause != nil
	switch {
	case cut:
	case f.onCut[0] == nil:
		f.onCut[0] = end
	case f.onCut[1] == nil:
		f.onCut[1] = end
	default:
		f.rarely().onCut = append(f.rare.onCut, end)
	}
	f.mu.Unlock()
	if cut {
		end()
	}
}

// OnEnd has end called when the connection has ended, cut or not, at once if it has: what is
// opened beside an association may be there only then.
func (f *Flow) OnEnd(end func()) {
	f.mu.Lock()
	ended := f.ended
	if !ended {
		f.rarely().onEnd = append(f.rare.onEnd, end)
	}
	f.mu.Unlock()
	if ended {
		end()
	}
}

// End calls what OnEnd was given, once. The handler of the connection calls it.
func (f *Flow) End() {
	f.mu.Lock()
	f.ended = true
	var ends []func()
	if f.rare != nil {
		ends, f.rare.onEnd = f.rare.onEnd, nil
	}
	f.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// Cut ends the flow at once. The first cause, which is not nil, is the one that
// is kept.
func (f *Flow) Cut(cause error) {
	f.mu.Lock()
	if f.cause != nil {
		f.mu.Unlock()
		return
	}
	first := f.onCut
	var more []func()
	if f.rare != nil {
		more, f.rare.onCut = f.rare.onCut, nil
	}
	f.cause, f.onCut = cause, [2]func(){}
	if f.done != nil {
		close(f.done)
	}
	f.mu.Unlock()
	for _, end := range append(first[:], more...) {
		if end != nil {
			end()
		}
	}
}

// Done returns a channel that is closed when the flow is cut.
func (f *Flow) Done() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done == nil {
		f.done = make(chan struct{})
		if f.cause != nil {
			close(f.done)
		}
	}
	return f.done
}

// Cause returns why the flow was cut, or nil.
func (f *Flow) Cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause
}

// Choose notes the branch that a request takes, such as a member of a group, for
// Event.Path.
func (f *Flow) Choose(branch string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rare != nil && f.rare.whole != nil {
		f.rare.gave = append(f.rare.gave, f.rare.whole.chooseOnce(branch))
	}
	f.rarely().path = append(f.rare.path, branch)
}

// chooseOnce is Choose for a branch that may have been noted. It reports whether it was not.
func (f *Flow) chooseOnce(branch string) bool {
	if slices.Contains(f.Chosen(), branch) {
		return false
	}
	f.Choose(branch)
	return true
}

// Chosen returns the branches that were noted, in order. It must not be changed.
func (f *Flow) Chosen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rare == nil {
		return nil
	}
	return slices.Clip(f.rare.path)
}

// Unchoose forgets the branches that were noted after the first n: a request that failed
// in them goes another way.
func (f *Flow) Unchoose(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rare == nil || n >= len(f.rare.path) {
		return
	}
	if f.rare.whole != nil {
		for i := len(f.rare.path) - 1; i >= n; i-- {
			if f.rare.gave[i] {
				f.rare.whole.forget(f.rare.path[i])
			}
		}
		f.rare.gave = f.rare.gave[:n]
	}
	f.rare.path = slices.Clone(f.rare.path[:n]) // what Chosen returned must not change
}

// forget forgets a branch that a Branch has chosen.
func (f *Flow) forget(branch string) {
	chosen := f.Chosen()
	for i := len(chosen) - 1; i >= 0; i-- {
		if chosen[i] == branch {
			rest := slices.Clone(chosen[i+1:])
			f.Unchoose(i)
			for _, b := range rest {
				f.Choose(b)
			}
			return
		}
	}
}

// Branch returns a flow for one of several ways that the datagrams of f take. What is
// dropped on it is dropped on f, and what it chooses f has chosen. It can be cut without f;
// who closes a connection of f closes those of its branches. f may be nil.
func (f *Flow) Branch() *Flow {
	b := &Flow{rare: &rarities{whole: f}}
	b.recording.Store(f.Recording())
	return b
}

// Answered returns when the first bytes came down, or the zero Time: nothing has come, or the
// flow is not recording.
func (f *Flow) Answered() time.Time {
	at := f.answered.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

// Take counts one burst and asks the meters; it returns the longest wait. Only
// those that move the flow's bytes call it.
func (f *Flow) Take(up, down int) (time.Duration, error) {
	if up > 0 {
		f.Up.Add(int64(up))
	}
	if down > 0 && f.Down.Add(int64(down)) == int64(down) && f.recording.Load() {
		f.answered.Store(time.Now().UnixNano())
	}
	var wait time.Duration
	for _, m := range f.meters {
		w, err := m.Take(up, down)
		if err != nil {
			return 0, err
		}
		wait = max(wait, w)
	}
	return wait, nil
}
