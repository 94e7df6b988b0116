package pipeline

import (
	"errors"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// relay moves bytes both ways until both directions have ended, and then calls
// done with the first failure, or nil. The end of one direction is passed on by
// CloseWrite while the other goes on; a failure ends both. done closes both
// streams. relay itself returns at once.
//
// Each direction has a goroutine with as little on its stack as can be: while
// its side is silent, that stack is most of what the connection costs.
func relay(f *core.Flow, client, upstream core.Stream, done func(error)) {
	r := &pair{flow: f, client: client, upstream: upstream, done: done}
	r.left.Store(2)
	f.SetEnd(r.close)
	go r.run(up)
	go r.run(down)
}

// pair is the two directions of a relay.
type pair struct {
	flow             *core.Flow
	client, upstream core.Stream
	done             func(error)
	ended            atomic.Int32 // directions that have ended in order
	left             atomic.Int32 // directions that have not ended
	cutOff           error        // the client ended in the middle of a message
}

// direction is which way a pump moves bytes.
type direction bool

const (
	up   direction = true  // to the target
	down direction = false // to the client
)

// sides returns where a direction goes to and where it comes from.
func (r *pair) sides(way direction) (dst, src core.Stream) {
	if way == up {
		return r.upstream, r.client
	}
	return r.client, r.upstream
}

// run moves one direction to its end, in order or not.
func (r *pair) run(way direction) {
	if err := r.pump(way); err != nil {
		r.settle(way, err)
	}
	if r.left.Add(-1) == 0 {
		r.finish()
	}
}

func (r *pair) finish() {
	err := r.flow.Cause()
	if err == nil {
		err = r.cutOff
	}
	r.done(err)
}

// settle does what the failure of one direction asks for.
func (r *pair) settle(way direction, err error) {
	defer func() { // the streams may be somebody else's code
		if v := recover(); v != nil {
			r.flow.Cut(panics.New(v))
		}
	}()
	dst, src := r.sides(way)
	if absorber, quiet := src.(core.Absorber); quiet && way == up {
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			// Whoever cuts a client off must not learn where its messages end:
			// the answer goes on as after any other end.
			r.cutOff = err
			err = r.end(dst)
		case isBroken(err):
			_ = dst.CloseWrite() // the target gets what was good, and an end
			absorber.Absorb()
		}
	}
	if err != nil {
		r.fail(dst, err)
	}
}

// isBroken reports whether err says that bytes broke a cipher's rules.
func isBroken(err error) bool {
	return errors.Is(err, core.ErrAuth) || errors.Is(err, core.ErrMalformed)
}

func (r *pair) close() {
	r.client.Close()
	r.upstream.Close()
}

// fail ends both directions because the one to dst ended with err. What was
// damaged or cut off must not look complete, so dst's peer sees an error then;
// after a mere reset the close is orderly, because what came before it must
// arrive.
func (r *pair) fail(dst core.Stream, err error) {
	if isBroken(err) || errors.Is(err, io.ErrUnexpectedEOF) {
		r.flow.SetEnd(func() {
			ending.Abort(dst)
			r.close()
		})
	}
	r.flow.Cut(err)
}

// pump moves bytes one way until their source ends, and then ends the other
// side. A panic is returned as a PanicError.
func (r *pair) pump(way direction) (err error) {
	defer panics.Catch(&err)
	dst, src := r.sides(way)
	burst := netio.NewBurster(dst, src)
	for {
		n, err := burst()
		if n > 0 {
			if err := meter(r.flow, n, way); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return r.end(dst)
		default:
			return err
		}
	}
}

// end passes on the end of a direction, unless it is the second one: then both
// streams are closed next, which says the same. A peer that has gone meanwhile
// has nothing to miss.
func (r *pair) end(dst core.Stream) error {
	if r.ended.Add(1) == 2 {
		return nil
	}
	if err := dst.CloseWrite(); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// isGone reports whether err says that the peer has gone already.
func isGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.ENOTCONN) || errors.Is(err, net.ErrClosed)
}

// meter counts a burst and waits for as long as the meters say.
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
