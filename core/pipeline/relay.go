package pipeline

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// relay moves bytes both ways between two streams until both directions have
// ended, and then calls done with the first failure, or nil. The end of one
// direction is passed on by CloseWrite while the other goes on; a failure ends
// both. done closes both streams.
//
// Each direction has a goroutine with as little on its stack as can be: while
// its side is silent, that stack is most of what the connection costs.
type relay struct {
	flow             *core.Flow
	client, upstream core.Stream
	done             func(error)

	unproven bool // the client may be a stranger: its wire shows no reset

	ended     atomic.Int32                // the bits of directions that have ended in order
	finished  atomic.Int32                // directions that move no more
	lost      atomic.Pointer[error]       // why one side can't be written to any more
	passing   atomic.Bool                 // a failure is being passed on
	broken    atomic.Pointer[core.Stream] // whose peer must see an error
	absorbing atomic.Bool                 // the client's bytes are no more passed on, and the target was told
	cutOff    error                       // the client ended in the middle of a message
}

// start begins both directions and returns.
func (r *relay) start() {
	go r.run(up)
	go r.run(down)
}

// direction is which way a relay moves bytes.
type direction bool

const (
	up   direction = true  // to the target
	down direction = false // to the client
)

// bit returns the bit of a direction in relay.ended.
func (d direction) bit() int32 {
	if d == up {
		return 1
	}
	return 2
}

// sides returns where a direction goes to and where it comes from.
func (r *relay) sides(way direction) (dst, src core.Stream) {
	if way == up {
		return r.upstream, r.client
	}
	return r.client, r.upstream
}

// run moves one direction to its end, in order or not. The last one to end
// finishes the relay. The other one waits for a reset of the side that it has read to the
// end: a peer that has closed resets its connection when more arrives.
func (r *relay) run(way direction) {
	if err := r.move(way); err != nil {
		r.settle(way, err)
	}
	if r.finished.Add(1) == 2 {
		r.finish()
		return
	}
	if r.flow.Cause() != nil || r.lost.Load() != nil || r.passing.Load() {
		return
	}
	_, src := r.sides(way)
	if err := netio.WaitReset(src); err != nil && r.finished.Load() < 2 {
		r.passOn(way, err)
	}
}

func (r *relay) finish() {
	err := r.flow.Cause()
	if err == io.EOF { // the inbound's protocol has ended the stream in order
		err = nil
	}
	if err == nil {
		err = r.cutOff
	}
	r.done(err)
}

// move moves bytes one way until their source ends, and then ends the other
// side. A panic is returned as an error.
func (r *relay) move(way direction) (err error) {
	defer panics.Catch(&err)
	dst, src := r.sides(way)
	burst := netio.NewBurster(dst, src)
	for {
		n, err := burst()
		if n > 0 {
			if err := meter(r.flow, n, way); err != nil {
				r.flow.Cut(err)
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return r.end(way)
		default:
			return err
		}
	}
}

// end passes on the end of a direction, unless it is the second one: then both
// streams are closed next, which says the same. A peer that has gone meanwhile
// has nothing to miss. What came from a side that was lost is complete only by chance,
// so its end is passed on as a failure.
func (r *relay) end(way direction) error {
	second := r.ended.Or(way.bit()) == (!way).bit()
	dst, src := r.sides(way)
	switch lost := r.lost.Load(); {
	case lost != nil:
		r.passOn(way, *lost)
		return nil
	case second:
		return nil
	case !r.absorbing.Load() && netio.WasReset(src): // the other direction is about to say so
		r.passOn(way, fmt.Errorf("read: %w", syscall.ECONNRESET))
		return nil
	}
	if err := dst.CloseWrite(); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// settle does what the failure of one direction asks for.
func (r *relay) settle(way direction, err error) {
	defer func() { // the streams may be of a third party
		if v := recover(); v != nil {
			r.flow.Cut(panics.New(v))
		}
	}()
	dst, src := r.sides(way)
	if absorber, hides := src.(core.Absorber); hides && way == up {
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			// A client that is cut off must not learn where its messages end:
			// the answer goes on as after any other end.
			r.cutOff = err
			err = r.end(way)
		case isBroken(err):
			r.absorbing.Store(true)
			_ = dst.CloseWrite() // the target gets what was good, and an end
			absorber.Absorb()
		}
	}
	if err != nil {
		r.fail(way, err)
	}
}

// cut ends both directions at once. A panic of one stream does not keep the other
// open; done, which closes both again, reports it.
func (r *relay) cut() {
	if dst := r.broken.Load(); dst != nil {
		_ = panics.Call(func() error {
			ending.Reset(*dst)
			return nil
		})
	}
	_ = closeBoth(r.client, r.upstream)
}

// closeBoth closes both sides of a connection and returns the panic of one, or nil.
func closeBoth(a, b io.Closer) error {
	first, second := closeOne(a), closeOne(b)
	if first != nil {
		return first
	}
	return second
}

// closeOne closes c and returns its panic, or nil: an error of Close says no more than
// that the peer has gone.
func closeOne(c io.Closer) error {
	return panics.Call(func() error {
		_ = c.Close()
		return nil
	})
}

// inQueues returns how many bytes the kernel has yet to deliver to both sides.
func (r *relay) inQueues() int { return netio.SendQueue(r.client) + netio.SendQueue(r.upstream) }

// meter counts a burst and waits for as long as the flow's meters say.
func meter(f *core.Flow, n int, way direction) error {
	var wait time.Duration
	var err error
	if way == up {
		wait, err = f.Take(n, 0)
	} else {
		wait, err = f.Take(0, n)
	}
	if err != nil || wait <= 0 {
		return err
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-f.Done():
		return f.Cause()
	}
}
