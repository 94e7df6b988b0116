package coretest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Patience bounds waits for events that should happen at once. Tests that pass don't wait
// for so long.
const Patience = 20 * time.Second

// Pair is a way to create the two ends of a connection.
type Pair struct {
	Name string
	Make func(t testing.TB) (a, b core.Stream)
}

// Pairs are the ways in which this package creates the two ends of a connection.
var Pairs = []Pair{
	{"memory", func(testing.TB) (a, b core.Stream) { return Pipe() }},
	{"loopback", func(t testing.TB) (a, b core.Stream) { return TCPPair(t) }},
	{"bytes put back", unreadPair},
}

// TCPPair returns the ends of a loopback connection with a deadline, so that they can't
// block the test for long.
func TCPPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	a, b = LoopbackPair(t)
	if err := a.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// unreadPair returns a loopback connection on which both ends have read a byte, put
// it back and read it again.
func unreadPair(t testing.TB) (a, b core.Stream) {
	t.Helper()
	near, far := TCPPair(t)
	ends := [2]core.Stream{near, far}
	for i, end := range ends {
		ends[i] = netio.Unread(end, []byte("x"))
		Read(t, ends[i], []byte("x"))
	}
	return ends[0], ends[1]
}

// Write writes all of data.
func Write(t testing.TB, s io.Writer, data []byte) {
	t.Helper()
	if n, err := s.Write(data); n != len(data) || err != nil {
		t.Errorf("write: got %d, %v, want %d, nil", n, err, len(data))
	}
}

// Read reads as many bytes as want has and compares them.
func Read(t testing.TB, s io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(s, got)
	if err != nil {
		t.Errorf("read: got %v after %d bytes, want %d", err, n, len(want))
		return
	}
	same(t, got, want)
}

// ReadAll reads to the end and compares.
func ReadAll(t testing.TB, s io.Reader, want []byte) {
	t.Helper()
	got, err := io.ReadAll(s)
	if err != nil {
		t.Errorf("read to the end: got %v after %d bytes", err, len(got))
		return
	}
	same(t, got, want)
}

// CloseWrite calls CloseWrite of s and checks the result.
func CloseWrite(t testing.TB, s core.Stream) {
	t.Helper()
	if err := s.CloseWrite(); err != nil {
		t.Errorf("close write: %v", err)
	}
}

// Together runs all functions at once and waits for them.
func Together(fs ...func()) {
	var all sync.WaitGroup
	for _, f := range fs {
		all.Go(f)
	}
	all.Wait()
}
