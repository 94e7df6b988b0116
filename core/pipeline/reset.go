package pipeline

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/panics"
)

// fail ends both directions because one of them failed.
//
// A side that can't be written to any more may have sent its last bytes before: the
// other direction delivers them, and its end is the relay's.
func (r *relay) fail(way direction, err error) {
	switch {
	case r.flow.Cause() != nil: // cut: this is what comes of it
	case !isWriting(err):
		r.passOn(way, err)
	case !r.lost.CompareAndSwap(nil, &err): // nobody is left to deliver to
		r.flow.Cut(err)
	case r.ended.Load()&(!way).bit() != 0: // the other direction has delivered all
		r.passOn(!way, err)
	}
}

// passOn ends the relay so that the peer a direction goes to sees an error behind all
// that came before it: what a failure cut must not look complete.
func (r *relay) passOn(way direction, err error) {
	if !r.passing.CompareAndSwap(false, true) {
		return
	}
	defer func() {
		if v := recover(); v != nil { // the streams may be of a third party
			err = panics.New(v)
		}
		r.flow.Cut(err)
	}()
	to, from := r.sides(way)
	if way == down && r.hidesResets() {
		r.hide(to, from)
		return
	}
	if !ending.CanReset(to) && !isIncomplete(err) {
		return
	}
	r.broken.Store(&to) // from here on whatever ends the relay resets it
	if left := ending.Deliver(to, r.flow.Done()); left > 0 {
		err = fmt.Errorf("%w; the last %d bytes before it were not delivered", err, left)
	}
}

// hide ends a client whose wire shows no reset. A client that is uploading has sent bytes
// that nobody reads any more, so they are read until it has seen the end: a close before
// that would be a reset. The broken target is closed first: what the other direction reads
// from here on has gaps.
func (r *relay) hide(client, target core.Stream) {
	if i, ok := client.(core.Interrupter); ok && !r.unproven {
		_ = i.Interrupt() // it may have gone
		ending.Deliver(client, r.flow.Done())
	} else {
		_ = client.CloseWrite()
	}
	_ = closeOne(target)
	ending.Linger(client, r.flow.Done())
}

// hidesResets reports whether a reset of the client's wire could tell a stranger
// something.
func (r *relay) hidesResets() bool {
	_, hides := r.client.(core.Absorber)
	return hides || r.unproven
}

// isBroken reports whether err says that bytes broke a cipher's rules.
func isBroken(err error) bool {
	return errors.Is(err, core.ErrAuth) || errors.Is(err, core.ErrMalformed)
}

// isIncomplete reports whether err says that a stream was damaged or cut off.
func isIncomplete(err error) bool { return isBroken(err) || errors.Is(err, io.ErrUnexpectedEOF) }

// isWriting reports whether err comes from writing to a side rather than from reading the
// other one. An operation that is not listed is not of a socket: crypto/tls has "remote
// error", which an alert of the peer is read as.
func isWriting(err error) bool {
	if isIncomplete(err) {
		return false
	}
	op, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return errors.Is(err, syscall.EPIPE)
	}
	switch op.Op {
	case "write", "raw-write", "writev", "sendmsg", "splice", "sendfile", "readfrom", "close", "shutdown":
		return true
	}
	return false
}

// isGone reports whether err says that the peer has gone already.
func isGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.ENOTCONN) || errors.Is(err, net.ErrClosed)
}
