package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core/netio"
)

// copied is the length in bytes up to which a server copies a payload behind its header: a
// vectored write of less costs more than the copy.
const copied = 4 << 10

// Write sends p as one message, or as several if p is longer than a buffer. After an error,
// a timeout among them, the stream can't be written any more: a part of a frame may have
// been sent.
func (s *stream) Write(p []byte) (int, error) {
	s.wmu.Lock()
	defer s.unlock()
	total := 0
	for len(p) > 0 && s.writeErr == nil {
		n, size := 0, len(p)
		if s.role == server && len(p) > copied && netio.Bare(s.Stream) != nil {
			n = s.sendVectored(size, p)
		} else {
			n, size = s.sendCopied(p)
		}
		if total += n; n < size {
			break
		}
		p = p[n:]
	}
	return total, s.writeErr
}

// WriteVector sends all pieces as one message. A client masks them in place.
func (s *stream) WriteVector(pieces [][]byte) (int, error) {
	s.wmu.Lock()
	defer s.unlock()
	if s.writeErr != nil {
		return 0, s.writeErr
	}
	total := 0
	for _, p := range pieces {
		total += len(p)
	}
	if total == 0 {
		return 0, nil
	}
	return s.sendVectored(total, pieces...), s.writeErr
}

// header returns the header of a data frame, in b, and the mask of its payload.
func (s *stream) header(b []byte, length int) ([]byte, mask) {
	h := header{final: true, op: opBinary, length: uint64(length)}
	if s.role == server {
		return appendHeader(b, h), 0
	}
	h.masked, h.key = true, newKey()
	return appendHeader(b, h), newMask(h.key)
}

// newKey returns an unpredictable masking key (RFC 6455 §5.3, §10.3).
func newKey() (key [4]byte) {
	_, _ = rand.Read(key[:]) // never fails
	return key
}

// sendCopied sends as much of p as fits a buffer, in one frame and one write. It returns how
// much was sent, and how much the frame has.
func (s *stream) sendCopied(p []byte) (n, size int) {
	buf := netio.BorrowSmallBuffer()
	if len(p) > len(buf.B)-maxHeader {
		buf.Return()
		buf = netio.BorrowBuffer()
	}
	defer buf.Return()
	size = min(len(p), len(buf.B)-maxHeader)
	head, m := s.header(buf.B[:0], size)
	m.move(buf.B[len(head):], p[:size])
	n, s.writeErr = s.Stream.Write(buf.B[:len(head)+size])
	return max(n-len(head), 0), size
}

// sendVectored sends pieces, of size bytes together, in one frame. It masks them in place.
func (s *stream) sendVectored(size int, pieces ...[]byte) (n int) {
	buf := netio.BorrowSmallBuffer()
	defer buf.Return()
	head, m := s.header(buf.B[:0], size)
	buf.Pieces = append(buf.Pieces, head)
	for _, p := range pieces {
		if m != 0 {
			m = m.apply(p, p)
		}
		if len(p) > 0 {
			buf.Pieces = append(buf.Pieces, p)
		}
	}
	n, s.writeErr = buf.WritePieces(s.Stream)
	return max(n-len(head), 0)
}

// sendControl sends a control frame. The caller holds wmu.
func (s *stream) sendControl(op opcode, payload []byte) error {
	h := header{final: true, op: op, length: uint64(len(payload))}
	if s.role == client {
		h.masked, h.key = true, newKey()
	}
	frame := append(appendHeader(make([]byte, 0, maxHeader+maxControl), h), payload...)
	if h.masked {
		own := frame[len(frame)-len(payload):]
		newMask(h.key).apply(own, own)
	}
	n, err := s.Stream.Write(frame)
	if n == 0 && op == opClose && !s.closed.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		// The deadline was for the data, and a drain ends the stream behind it.
		_ = s.Stream.SetWriteDeadline(time.Now().Add(closeTimeout))
		_, err = s.Stream.Write(frame)
	}
	return err
}

// sendClose sends a Close frame, after which nothing is sent. The caller holds wmu. Behind a
// part of a frame it sends nothing: the peer would take it for payload.
func (s *stream) sendClose(code closeCode) error {
	s.closeSent = true
	err := s.writeErr
	if err == nil {
		err = s.sendControl(opClose, binary.BigEndian.AppendUint16(nil, uint16(code)))
		s.writeErr = net.ErrClosed
	}
	return err
}

// answer sends a Pong. If a write is in progress, that sends it when it has ended: of
// several Pings the last is answered then (RFC 6455 §5.5.3).
func (s *stream) answer(ping []byte) {
	s.pongMu.Lock()
	s.pong = slices.Clone(ping)
	s.hasPong.Store(true)
	s.pongMu.Unlock()
	if s.wmu.TryLock() {
		s.unlock()
	}
}

// unlock sends the Pong that waits, if one does, and unlocks wmu.
func (s *stream) unlock() {
	for {
		if s.hasPong.Load() {
			s.pongMu.Lock()
			pong := s.pong
			s.pong = nil
			s.hasPong.Store(false)
			s.pongMu.Unlock()
			if s.writeErr == nil {
				s.writeErr = s.sendControl(opPong, pong)
			}
		}
		s.wmu.Unlock()
		if !s.hasPong.Load() || !s.wmu.TryLock() {
			return
		}
	}
}
