package netio

import (
	"io"
	"net"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"golang.org/x/sys/unix"
)

// spliceSegment bounds one splice in bytes, so that counters and meters are updated
// during a long transfer.
const spliceSegment = 1 << 20

// splicer moves bytes between two bare connections inside the kernel. Each splice has
// the length of the bytes that have arrived: a longer splice would hold a pipe, two
// descriptors, for as long as the peer is silent.
type splicer struct {
	dst   *net.TCPConn
	src   core.Stream
	raw   syscall.RawConn
	try   func(fd uintptr) bool
	limit io.LimitedReader

	ready int // bytes that have arrived
	err   error
}

// newSplicer returns a splicer, or nil if one side is not bare.
func newSplicer(dst, src core.Stream) *splicer {
	to, from := Bare(dst), rawConn(src)
	if to == nil || from == nil {
		return nil
	}
	s := &splicer{dst: to, src: src, raw: from}
	s.limit.R = src
	s.try = s.arrived
	return s
}

// burst waits until bytes have arrived, then moves them.
func (s *splicer) burst() (int, error) {
	s.ready, s.err = 0, nil
	if err := s.raw.Read(s.try); err != nil {
		return 0, err
	}
	if s.err != nil {
		return 0, s.err
	}
	s.limit.N = int64(min(s.ready, spliceSegment))
	n, err := s.dst.ReadFrom(&s.limit)
	return int(n), err
}

// arrived sets ready to the number of readable bytes. It returns false if no bytes have
// arrived.
func (s *splicer) arrived(fd uintptr) bool {
	n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
	if err == nil && n > 0 {
		s.ready = n
		return true
	}
	switch n, err = peek(fd, 1); {
	case err == unix.EAGAIN:
		return false
	case err != nil:
		s.err = wireError("read", s.src, err)
	case n == 0:
		s.err = io.EOF
	default:
		s.ready = n
	}
	return true
}
