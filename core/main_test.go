package core_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should happen at once; tests that pass don't wait for it.
const patience = 20 * time.Second

// pairs are the ways in which the two ends of a connection are made here.
var pairs = []struct {
	name string
	make func(t testing.TB) (a, b core.Stream)
}{
	{"memory", func(testing.TB) (a, b core.Stream) { return coretest.Pipe() }},
	{"loopback", func(t testing.TB) (a, b core.Stream) { return tcpPair(t) }},
}

// tcpPair returns the ends of a loopback connection that don't hang the test.
func tcpPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	a, b = coretest.LoopbackPair(t)
	if err := a.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// write writes all of data.
func write(t testing.TB, s io.Writer, data []byte) {
	t.Helper()
	if n, err := s.Write(data); n != len(data) || err != nil {
		t.Errorf("write: got %d, %v, want %d, nil", n, err, len(data))
	}
}

// read reads as many bytes as want has and compares them.
func read(t testing.TB, s io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read: got %d bytes, %v, want %d (or they differ)", n, err, len(want))
	}
}

// readAll reads to the end and compares.
func readAll(t testing.TB, s io.Reader, want []byte) {
	t.Helper()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read all: got %d bytes, %v, want %d, nil (or they differ)", len(got), err, len(want))
	}
}

func closeWrite(t testing.TB, s core.Stream) {
	t.Helper()
	if err := s.CloseWrite(); err != nil {
		t.Errorf("close write: %v", err)
	}
}

// together runs all functions at once and waits for them.
func together(fs ...func()) {
	var all sync.WaitGroup
	for _, f := range fs {
		all.Go(f)
	}
	all.Wait()
}
