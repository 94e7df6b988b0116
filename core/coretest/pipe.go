package coretest

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// pipeBuffer is how many bytes one direction of a Pipe buffers before a write waits. It is
// small, so that tests fill the buffer.
const pipeBuffer = 64 << 10

// Pipe returns the two ends of a connection in memory. It behaves as TCP does:
// bytes are buffered, each direction ends by itself, reads drain what was sent
// before the peer closed, writes to a peer that has closed return EPIPE, and
// core.Abort causes ECONNRESET. A Pipe waits only on condition variables and timers, so
// it works in a synctest bubble. It is not a *net.TCPConn, so the relay uses its general
// path.
func Pipe() (a, b core.Stream) {
	ab, ba := newLane(), newLane()
	return &pipeEnd{name: "a", peer: "b", in: ba, out: ab}, &pipeEnd{name: "b", peer: "a", in: ab, out: ba}
}

// LoopbackPair returns the two ends of a TCP connection over loopback: a
// dialled, b accepted. They are closed at the end of the test.
func LoopbackPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b, err = l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

// pipeEnd is one end of a Pipe.
type pipeEnd struct {
	name, peer string
	in, out    *lane
}

var (
	_ core.Stream  = (*pipeEnd)(nil)
	_ core.Waiter  = (*pipeEnd)(nil)
	_ core.Aborter = (*pipeEnd)(nil)
)

func (p *pipeEnd) Read(b []byte) (int, error) {
	n, err := p.in.read(b)
	return n, p.wrap("read", err)
}

// WaitRead waits until a Read would not wait.
func (p *pipeEnd) WaitRead() error { return p.wrap("read", p.in.waitRead()) }

func (p *pipeEnd) Write(b []byte) (int, error) {
	n, err := p.out.write(b)
	return n, p.wrap("write", err)
}

func (p *pipeEnd) CloseWrite() error { return p.wrap("close", p.out.end()) }

// Close ends both directions. Written bytes are still delivered.
func (p *pipeEnd) Close() error {
	p.out.closeWriter(nil)
	p.in.closeReader(syscall.EPIPE)
	return nil
}

// Abort closes the end so that the peer's reads and writes return ECONNRESET.
func (p *pipeEnd) Abort() {
	p.out.closeWriter(syscall.ECONNRESET)
	p.in.closeReader(syscall.ECONNRESET)
}

func (p *pipeEnd) LocalAddr() net.Addr  { return pipeAddr(p.name) }
func (p *pipeEnd) RemoteAddr() net.Addr { return pipeAddr(p.peer) }

func (p *pipeEnd) SetDeadline(t time.Time) error {
	_ = p.SetReadDeadline(t)
	return p.SetWriteDeadline(t)
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	return p.wrap("set", p.in.setDeadline(&p.in.reader, t))
}

func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	return p.wrap("set", p.out.setDeadline(&p.out.writer, t))
}

// wrap returns err as a *net.OpError, as package net does.
func (p *pipeEnd) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "pipe", Source: p.LocalAddr(), Addr: p.RemoteAddr(), Err: err}
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }
