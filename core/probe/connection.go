package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	sendTimeout = 2 * time.Second // for one write, in case the server reads nothing
	maxData     = 64 << 10        // bytes that are read from a server
	floodBlock  = 4 << 10         // bytes per write of a Flood

	wsaReset = syscall.Errno(10054) // WSAECONNRESET, which package syscall defines on Windows only
	wsaAbort = syscall.Errno(10053) // WSAECONNABORTED
)

// ending is what watch observed.
type ending struct {
	end  End
	data int
	at   time.Time
	err  string
}

// exchange opens one connection to addr, sends b as p requires, and watches the
// connection until it ends or wait has passed since the last byte. It returns
// false if ctx ended first.
func exchange(ctx context.Context, addr string, p Probe, b []byte, wait time.Duration) (Record, bool) {
	r := Record{Probe: p}
	conn, took, err := dial(ctx, addr)
	r.Connect = took
	if err != nil {
		r.End, r.Err = EndNever, reason(err)
		return r, ctx.Err() == nil
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	began := time.Now()
	seen := make(chan ending, 1)
	over := make(chan struct{})
	go func() {
		seen <- watch(conn)
		close(over)
	}()
	s := sender{conn: conn, over: over, last: began}
	s.send(p, b)
	r.Sent = s.sent
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	if ctx.Err() != nil { // the deadline in the past must stay
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	}
	e := <-seen
	if s.reset && e.end != EndData {
		e.end = EndRST // the kernel reports a reset once
	}
	r.End, r.Data, r.Err = e.end, e.data, e.err
	r.After, r.Quiet = e.at.Sub(began), max(0, e.at.Sub(s.last))
	return r, ctx.Err() == nil
}

// dial connects to addr and returns the time that it took.
func dial(ctx context.Context, addr string) (*net.TCPConn, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	began := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, time.Since(began), err
	}
	return conn.(*net.TCPConn), time.Since(began), nil
}

// sender sends the bytes of one probe.
type sender struct {
	conn  *net.TCPConn
	over  <-chan struct{} // closed when the server has ended the connection
	sent  int
	last  time.Time // time of the last successful write
	reset bool      // a write reported the reset
}

func (s *sender) send(p Probe, b []byte) {
	switch p.Family {
	case Slow:
		for i := range b {
			if s.pause(p.pause); s.ended() || !s.write(b[i:i+1]) {
				return
			}
		}
	case Flood:
		for len(b) > 0 && !s.ended() {
			n := min(floodBlock, len(b))
			if !s.write(b[:n]) {
				return
			}
			b = b[n:]
		}
	default:
		if s.pause(p.pause); s.ended() || len(b) > 0 && !s.write(b) {
			return
		}
	}
	if p.Finish == FIN && s.conn.CloseWrite() == nil {
		s.last = time.Now()
	}
}

// pause waits for d or the end of the connection.
func (s *sender) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.over:
	}
}

func (s *sender) ended() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// write sends b, and reports whether the kernel accepted all of it.
func (s *sender) write(b []byte) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	n, err := s.conn.Write(b)
	if s.sent += n; n > 0 {
		s.last = time.Now()
	}
	s.reset = s.reset || isReset(err)
	return err == nil
}

// isReset reports whether the server sent a RST.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, wsaReset) || errors.Is(err, wsaAbort)
}

// watch reads from conn until it ends and returns how it ended.
func watch(conn net.Conn) (e ending) {
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		e.at = time.Now()
		e.data += n
		switch {
		case errors.Is(err, io.EOF):
			e.end = EndFIN
		case errors.Is(err, os.ErrDeadlineExceeded):
			e.end = EndOpen
		case isReset(err):
			e.end = EndRST
		case err != nil:
			e.end, e.err = EndLost, reason(err)
		case e.data >= maxData:
			e.end = EndData
		default:
			continue
		}
		return e
	}
}

// reason returns the text of err without addresses.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err
	}
	if os.IsTimeout(err) {
		return "no answer"
	}
	return err.Error()
}
