package core

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Request is what an inbound learned of one connection or UDP association
// before anything is dialled. Middleware passes on a changed copy; Flow is the
// one thing that all copies share.
type Request struct {
	ID      uint64         // unique in the process
	Inbound string         // name of the inbound's table
	User    string         // identity proven in the handshake, or ""
	Client  netip.AddrPort // true client, IPv4 unmapped
	Target  Addr           // where the client wants to go
	IPs     []netip.Addr   // the target's addresses, if a resolver has looked them up
	Payload []byte         // first bytes for the target; valid until DialStream returns
	Flow    *Flow
	Grant   *Grant // what the user is served under, or nil

	// Once tells the request apart from all others made under its key, where the
	// protocol has something that does.
	Once Once

	// Unproven says that the client has not proved that it holds a key or a
	// password, where the inbound asks for one.
	Unproven bool

	// Unattributed says that a balancer passed the connection on without naming
	// a client: it is the balancer's own, such as a health check, or its client
	// has no address. Client is the balancer then, who must not be counted,
	// limited or banned; gates are neither asked nor told.
	Unattributed bool

	taken func() // see Taken; may be nil
}

// Once is what may come once: a request with it that comes again is a recording.
type Once struct {
	ID    []byte    // empty if there is none
	Until time.Time // after which a recording is refused for its age; the zero Time for never
}

// Taken tells whoever counted r as a handshake that its handler counts it from
// now on. A Handler calls it as soon as it does.
func (r *Request) Taken() {
	if r.taken != nil {
		r.taken()
		r.taken = nil
	}
}

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
	meters []Meter // guarded by mu; only appended to
	ends   []func()
	end    func() // the pipeline's own, which changes as the stream goes on
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
	if !cut {
		f.ends = append(f.ends, end)
	}
	f.mu.Unlock()
	if cut {
		end()
	}
}

// setEnd makes end what a cut calls, in the place of an earlier one; it is called
// at once if the flow has been cut. nil takes the earlier one away.
func (f *Flow) setEnd(end func()) {
	f.mu.Lock()
	cut := f.cause != nil
	if !cut {
		f.end = end
	}
	f.mu.Unlock()
	if cut && end != nil {
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
	ends := f.ends
	if f.end != nil {
		ends = append(ends, f.end)
	}
	f.cause, f.ends, f.end = cause, nil, nil
	if f.done != nil {
		close(f.done)
	}
	f.mu.Unlock()
	for _, end := range ends {
		end()
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

// take counts one burst and asks the meters; it returns the longest wait.
func (f *Flow) take(up, down int) (time.Duration, error) {
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
