package tls

import (
	"bytes"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

func TestTransfer(t *testing.T) {
	for _, version := range []Version{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		for _, size := range []int{1, 2, oneRecord, oneRecord + 1, 16 << 10, 16<<10 + 1, 100_000, 1 << 20} {
			t.Run(fmt.Sprintf("TLS %v/%d", version, size), func(t *testing.T) {
				e := establishedWith(t, version)
				want := pattern(size)
				var both sync.WaitGroup
				for _, dir := range []struct{ from, to core.Stream }{{e.client, e.server}, {e.server, e.client}} {
					both.Go(func() {
						if n, err := dir.from.Write(want); n != size || err != nil {
							t.Errorf("Write: got %d, %v, want %d", n, err, size)
						}
						if err := dir.from.CloseWrite(); err != nil {
							t.Errorf("CloseWrite: %v", err)
						}
					})
					both.Go(func() {
						got, err := io.ReadAll(dir.to)
						if err != nil {
							t.Errorf("ReadAll: %v", err)
						}
						equal(t, "transfer", got, want)
					})
				}
				both.Wait()
			})
		}
	}
}

func TestWriteVector(t *testing.T) {
	whole := pattern(300_000)
	for _, tc := range []struct {
		name   string
		pieces [][]byte
	}{
		{"none", nil},
		{"one", [][]byte{whole[:10]}},
		{"empty among others", [][]byte{whole[:10], nil, whole[10:20]}},
		{"more than a buffer", [][]byte{whole[:16384], whole[16384:100_000], whole[100_000:]}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := established(t)
			want := bytes.Join(tc.pieces, nil)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if n, err := e.server.(core.VectorWriter).WriteVector(tc.pieces); n != len(want) || err != nil {
					t.Errorf("got %d, %v, want %d", n, err, len(want))
				}
				e.server.Close()
			}()
			got, err := io.ReadAll(e.client)
			if err != nil {
				t.Error(err)
			}
			equal(t, "pieces", got, want)
			<-done
		})
	}
}

// What either side sends after the other has ended arrives.
func TestHalfClose(t *testing.T) {
	for _, tc := range []struct {
		name string
		pick func(e ends) (first, second core.Stream)
	}{
		{"client first", func(e ends) (core.Stream, core.Stream) { return e.client, e.server }},
		{"server first", func(e ends) (core.Stream, core.Stream) { return e.server, e.client }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := established(t)
			first, second := tc.pick(e)
			if _, err := io.WriteString(first, "question"); err != nil {
				t.Fatal(err)
			}
			if err := first.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(second); string(got) != "question" || err != nil {
				t.Fatalf("got %q, %v, want question", got, err)
			}
			if _, err := first.Write([]byte("more")); err == nil {
				t.Error("Write after CloseWrite: got no error")
			}
			want, done := pattern(500_000), make(chan struct{})
			go func() {
				defer close(done)
				if _, err := second.Write(want); err != nil {
					t.Error(err)
				}
				if err := second.CloseWrite(); err != nil {
					t.Error(err)
				}
			}()
			got, err := io.ReadAll(first)
			if err != nil {
				t.Error(err)
			}
			equal(t, "answer", got, want)
			<-done
			// Both have ended: now the FIN of the wire follows, without Close.
			for _, wire := range []*net.TCPConn{e.clientWire, e.serverWire} {
				if n, err := wire.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("wire after both ends: got %d, %v, want EOF", n, err)
				}
			}
		})
	}
}

// The wire stays open both ways until both directions have ended.
func TestCloseWriteKeepsTheWire(t *testing.T) {
	e := established(t)
	if err := e.client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := e.client.CloseWrite(); err != nil {
		t.Errorf("second CloseWrite: %v", err)
	}
	if _, err := e.server.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("got %v, want EOF", err)
	}
	if err := e.serverWire.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := e.serverWire.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wire: got %d, %v, want silence", n, err)
	}
}

// CloseWrite leaves the deadlines alone that the user has set.
func TestCloseWriteKeepsDeadlines(t *testing.T) {
	e := established(t)
	if err := e.client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.clientWire.Write([]byte("x")); err != nil {
		t.Errorf("wire after CloseWrite: got %v, want no timeout", err)
	}
}

func TestEndOfStream(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(e ends)
		want error
	}{
		{"Close", func(e ends) { e.client.Close() }, io.EOF},
		{"CloseWrite and Close", func(e ends) { e.client.CloseWrite(); e.client.Close() }, io.EOF},
		{"FIN without close_notify", func(e ends) { e.clientWire.CloseWrite() }, io.ErrUnexpectedEOF},
		{"close of the wire", func(e ends) { e.clientWire.Close() }, io.ErrUnexpectedEOF},
		{"half a record", func(e ends) { e.clientWire.Write([]byte{0x17, 3, 3}); e.clientWire.Close() }, io.ErrUnexpectedEOF},
		{"forged record", func(e ends) { e.clientWire.Write(append([]byte{0x17, 3, 3, 0, 32}, make([]byte, 32)...)) }, core.ErrAuth},
		{"plaintext", func(e ends) { io.WriteString(e.clientWire, "GET / HTTP/1.1\r\n") }, core.ErrMalformed},
		{"our own Close", func(e ends) { e.server.Close() }, net.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := established(t)
			if _, err := io.WriteString(e.client, "last words"); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len("last words"))
			if _, err := io.ReadFull(e.server, got); err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
			tc.end(e)
			if err := e.server.(core.Waiter).WaitRead(); err != nil {
				t.Errorf("WaitRead: got %v, want nil", err)
			}
			for range 2 {
				if n, err := e.server.Read(got); n != 0 || !errors.Is(err, tc.want) {
					t.Errorf("got %d, %v, want %v", n, err, tc.want)
				}
			}
		})
	}
}

// Bytes before the end are read before it, whatever the buffer.
func TestBytesBeforeTheEnd(t *testing.T) {
	for _, size := range []int{1, 3, 4, 5, 100} {
		e := established(t)
		if _, err := io.WriteString(e.client, "four"); err != nil {
			t.Fatal(err)
		}
		e.client.Close()
		var got []byte
		p := make([]byte, size)
		for {
			n, err := e.server.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != "four" {
			t.Errorf("buffer of %d: got %q, want four", size, got)
		}
	}
}

// Abort breaks the stream: its peer must not take it for complete.
func TestAbort(t *testing.T) {
	e := established(t)
	e.client.(interface{ Abort() }).Abort()
	if _, err := e.server.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("got %v, want an error other than EOF", err)
	}
}

// Close comes from anywhere: it ends a Write that the peer keeps waiting, and a
// Read, and it may come twice.
func TestCloseEndsBlockedCalls(t *testing.T) {
	e := established(t)
	if err := e.clientWire.SetWriteBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	started := make(chan struct{})
	calls.Go(func() {
		close(started)
		if _, err := e.client.Write(make([]byte, 64<<20)); err == nil {
			t.Error("Write: got no error")
		}
	})
	calls.Go(func() {
		if _, err := e.client.Read(make([]byte, 1)); err == nil {
			t.Error("Read: got no error")
		}
	})
	<-started
	e.client.Close()
	calls.Wait()
	if err := e.client.Close(); err == nil {
		t.Error("second Close: got no error, want net.ErrClosed")
	}
}

func TestDeadlines(t *testing.T) {
	e := established(t)
	short := func() time.Time { return time.Now().Add(10 * time.Millisecond) }
	p := make([]byte, 10)
	if err := e.server.SetReadDeadline(short()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.server.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: got %v, want a timeout", err)
	}
	if err := e.server.(core.Waiter).WaitRead(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("WaitRead: got %v, want a timeout", err)
	}
	// A timeout while reading spoils nothing.
	if err := e.server.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	exchange(t, e.client, e.server)
	// One while writing does.
	if err := e.client.SetWriteDeadline(short()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.client.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write: got %v, want a timeout", err)
	}
	if err := e.client.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.client.Write(p); err == nil {
		t.Error("Write after a timeout: got no error")
	}
}
