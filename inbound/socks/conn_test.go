package socks

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// script is the inbound's side of a connection whose client sends the same
// bytes whatever it is told. It is for one goroutine.
type script struct {
	reads [][]byte // what each Read gives at most
	end   error    // what Read returns after them; io.EOF if nil
	fail  error    // what Write returns, if not nil

	wrote    []byte
	halfShut bool // CloseWrite was called
	closed   bool
	late     int // writes after CloseWrite
	deadline time.Time
}

var _ core.Stream = (*script)(nil)

func (s *script) Read(p []byte) (int, error) {
	if len(s.reads) == 0 {
		if s.end != nil {
			return 0, s.end
		}
		return 0, io.EOF
	}
	n := copy(p, s.reads[0])
	if s.reads[0] = s.reads[0][n:]; len(s.reads[0]) == 0 {
		s.reads = s.reads[1:]
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	if s.halfShut || s.closed {
		s.late++
	}
	s.wrote = append(s.wrote, p...)
	return len(p), nil
}

// unread returns what the client sent and nobody has read.
func (s *script) unread() []byte {
	var b []byte
	for _, r := range s.reads {
		b = append(b, r...)
	}
	return b
}

func (s *script) Close() error                     { s.closed = true; return nil }
func (s *script) CloseWrite() error                { s.halfShut = true; return nil }
func (s *script) SetDeadline(t time.Time) error    { s.deadline = t; return nil }
func (s *script) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (s *script) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
func (s *script) LocalAddr() net.Addr              { return nil }
func (s *script) RemoteAddr() net.Addr             { return nil }

// whole has all bytes arrive at once.
func whole(b []byte) [][]byte {
	if len(b) == 0 {
		return nil
	}
	return [][]byte{b}
}

// bytewise has each byte arrive alone.
func bytewise(b []byte) [][]byte {
	var reads [][]byte
	for i := range b {
		reads = append(reads, b[i:i+1])
	}
	return reads
}

// duplex is one end of an in-memory connection whose directions end
// independently, as those of TCP do.
type duplex struct {
	net.Conn          // reads, and all that is not said below
	out      net.Conn // writes
}

var _ core.Stream = duplex{}

// newDuplex returns both ends. They are closed when the test ends.
func newDuplex(t *testing.T) (client, inbound duplex) {
	t.Helper()
	up, upEnd := net.Pipe()
	down, downEnd := net.Pipe()
	client, inbound = duplex{downEnd, up}, duplex{upEnd, down}
	t.Cleanup(func() { client.Close(); inbound.Close() })
	return client, inbound
}

func (d duplex) Write(p []byte) (int, error) { return d.out.Write(p) }
func (d duplex) CloseWrite() error           { return d.out.Close() }

func (d duplex) Close() error {
	_ = d.out.Close()
	return d.Conn.Close()
}

func (d duplex) SetDeadline(t time.Time) error {
	_ = d.out.SetDeadline(t)
	return d.Conn.SetDeadline(t)
}

func (d duplex) SetWriteDeadline(t time.Time) error { return d.out.SetDeadline(t) }

// tcpPair returns both ends of a connection over loopback.
func tcpPair(t *testing.T) (client, inbound *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client, inbound = dialled.(*net.TCPConn), accepted.(*net.TCPConn)
	t.Cleanup(func() { client.Close(); inbound.Close() })
	return client, inbound
}
