package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// reader is the state of a stream that only its reading goroutine uses.
//
// Outside a payload it reads from the wire exactly what is missing of a frame's header, or
// of a control frame, so that a wait for bytes of the stream needs no buffer of the
// connection. Inside a payload it reads as much as the caller has room for, later frames
// among it, and moves the payloads together in place.
type reader struct {
	in    core.Stream
	early []byte // comes before the bytes of the wire

	frame     [maxHeader + maxControl]byte // the header, and the payload of a control frame
	have      int                          // bytes of frame
	scratch   [maxHeader + maxControl]byte
	left      uint64 // bytes of the current payload that have not been read
	mask      mask   // of the next of them
	fragments bool   // the current message has frames to come

	err error // the result of all later reads, or nil
}

// Read returns io.EOF after the peer's Close frame, and io.ErrUnexpectedEOF if the wire ends
// without one, or if the frame names a failure.
func (s *stream) Read(p []byte) (int, error) {
	r := &s.reads
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.early) > 0 && !s.closed.Load() {
		n := copy(p, r.early)
		if r.early = r.early[n:]; len(r.early) == 0 {
			r.early = nil // frees the memory
		}
		return n, nil
	}
	for {
		if err := s.reachPayload(); err != nil {
			return 0, err
		}
		n, err := r.in.Read(p)
		if n = s.unframe(p[:n]); n > 0 {
			return n, nil // the next Read returns the error again
		}
		if err != nil {
			return 0, s.endRead(err)
		}
	}
}

// WaitRead waits for the first byte of a payload, or for the end. It takes frames without
// a payload from the wire meanwhile, and answers them.
func (s *stream) WaitRead() error {
	if len(s.reads.early) > 0 && !s.closed.Load() {
		return nil
	}
	if err := s.reachPayload(); err != nil {
		if s.reads.err != nil {
			return nil // Read returns it
		}
		return err
	}
	return netio.WaitReadable(s.reads.in)
}

// reachPayload reads until the next byte of the wire belongs to a payload.
func (s *stream) reachPayload() error {
	r := &s.reads
	for r.err == nil && r.left == 0 {
		n, err := r.in.Read(r.scratch[:s.missing()])
		if s.take(r.scratch[:n]); r.err == nil && n == 0 && err != nil {
			return s.endRead(err)
		}
	}
	return r.err
}

// missing returns how many bytes the current frame surely has before its payload is reached,
// or, for a control frame, before its end.
func (s *stream) missing() int {
	r := &s.reads
	if r.have < 2 && s.role == server {
		return 6 - r.have // with the key, which every frame of a client has
	}
	h, need, _ := parseHeader(r.frame[:r.have])
	if r.have >= need && h.control() {
		need += int(h.length)
	}
	return need - r.have
}

// unframe moves the payloads in p to its beginning and returns their length. The rest of
// what p holds of frames is taken from it.
func (s *stream) unframe(p []byte) (n int) {
	r := &s.reads
	for at := 0; at < len(p) && r.err == nil; {
		if r.left == 0 {
			at += s.take(p[at:])
			continue
		}
		k := int(min(uint64(len(p)-at), r.left))
		r.mask = r.mask.move(p[n:], p[at:at+k])
		r.left -= uint64(k)
		n, at = n+k, at+k
	}
	return n
}

// take takes headers and control frames from the beginning of b, up to a payload, and
// returns how many bytes these were. It sets r.err at the end of the stream.
func (s *stream) take(b []byte) (n int) {
	r := &s.reads
	for n < len(b) && r.left == 0 && r.err == nil {
		k := copy(r.frame[r.have:r.have+s.missing()], b[n:])
		r.have += k
		n += k
		if err := s.advance(); err != nil {
			s.breakOff(err)
		}
	}
	return n
}

// advance handles the frame so far: it starts its payload, or answers a complete control
// frame, or does nothing if more of it must come.
func (s *stream) advance() error {
	r := &s.reads
	h, need, err := parseHeader(r.frame[:r.have])
	switch {
	case err != nil:
		return err
	case r.have < need:
		return nil
	case h.masked != (s.role == server):
		if h.masked {
			return breach("a masked frame of a server")
		}
		return breach("a frame of a client that is not masked")
	case h.control():
		if r.have < need+int(h.length) {
			return nil
		}
		payload := r.frame[need:r.have]
		if r.have = 0; h.masked {
			newMask(h.key).apply(payload, payload)
		}
		return s.control(h.op, payload)
	case h.op == opText:
		return &violation{closeUnsupported, "a text message: only binary ones are served"}
	case r.fragments != (h.op == opContinuation):
		return breach("opcode %#x, where the last message has fragments to come: %t", byte(h.op), r.fragments)
	}
	r.have, r.left, r.fragments, r.mask = 0, h.length, !h.final, 0
	if h.masked {
		r.mask = newMask(h.key)
	}
	return nil
}

// control handles a control frame.
func (s *stream) control(op opcode, payload []byte) error {
	switch op {
	case opPing:
		s.answer(payload)
	case opClose:
		code, err := parseClose(payload)
		switch {
		case err != nil:
			return breach("%v", err)
		case code == closeNormal, code == closeNoStatus, code == closeGoingAway:
			s.reads.err = io.EOF
			_ = s.endDirection() // an error does not matter: the peer's Close has ended the direction
		default:
			s.reads.err = fmt.Errorf("%w: the peer closed the websocket with status %d", io.ErrUnexpectedEOF, code)
		}
	}
	return nil
}

// breakOff ends the stream because the peer breaks the protocol, and tells the peer the code.
func (s *stream) breakOff(err error) {
	s.reads.err = err
	v, ok := errors.AsType[*violation](err)
	if !ok || !s.wmu.TryLock() {
		return
	}
	defer s.wmu.Unlock()
	if !s.closeSent {
		_ = s.sendClose(v.code)
	}
}

// endRead converts the error of the wire. All but timeouts end the stream.
func (s *stream) endRead(err error) error {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // anyone who can send a FIN could truncate the stream
	}
	s.reads.err = err
	return err
}
