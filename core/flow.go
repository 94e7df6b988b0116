package core

import (
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

	mu     sync.Mutex
	meters []Meter   // guarded by mu, as all that follows; only appended to
	onCut  [2]func() // the first ones, which most flows have
	more   []func()  // the others
	onEnd  []func()
	path   []string // branches that were chosen
	cause  error
	done   chan struct{} // made when first asked for
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
		f.more = append(f.more, end)
	}
	f.mu.Unlock()
	if cut {
		end()
	}
}

// OnEnd has end called when the connection has ended, cut or not. It is called before
// the relay starts.
func (f *Flow) OnEnd(end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onEnd = append(f.onEnd, end)
}

// End calls what OnEnd was given, once. The handler of the connection calls it.
func (f *Flow) End() {
	f.mu.Lock()
	ends := f.onEnd
	f.onEnd = nil
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
	first, more := f.onCut, f.more
	f.cause, f.onCut, f.more = cause, [2]func(){}, nil
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
	f.path = append(f.path, branch)
}

// Chosen returns the branches that were noted, in order. It must not be changed.
func (f *Flow) Chosen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.path[:len(f.path):len(f.path)]
}

// Take counts one burst and asks the meters; it returns the longest wait. Only
// those that move the flow's bytes call it.
func (f *Flow) Take(up, down int) (time.Duration, error) {
	if up > 0 {
		f.Up.Add(int64(up))
	}
	if down > 0 {
		f.Down.Add(int64(down))
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
