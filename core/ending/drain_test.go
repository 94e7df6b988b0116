package ending_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Whatever comes, at most 64 KiB/s are read, nothing is sent, and the end comes
// at the deadline.
func TestDrainRate(t *testing.T) {
	const (
		patience = 60 * time.Second
		pause    = time.Second / 16 // one may be in progress at the deadline
	)
	for _, segment := range []int{1, 7, 1000, 4096, 4097, 16 << 10, 64 << 10} {
		synctest.Test(t, func(t *testing.T) {
			prober, server := coretest.Pipe()
			defer prober.Close()
			began := time.Now()
			deadline := began.Add(patience)
			counted := &counting{Stream: server}
			go func() {
				_ = server.SetReadDeadline(deadline)
				ending.Drain(counted)
				server.Close()
			}()
			go func() {
				b := make([]byte, segment)
				for {
					if _, err := prober.Write(b); err != nil {
						return
					}
				}
			}()
			coretest.ReadAll(t, prober, nil)
			if took := time.Since(began); took < patience || took > patience+pause {
				t.Errorf("segments of %d: ended after %s, want %s to %s", segment, took, patience, patience+pause)
			}
			synctest.Wait()
			// The burst at the start, one chunk, and what is read after the deadline, so that
			// the close is no reset, come on top.
			const most = 64<<10 + 64<<10*60 + 4<<10 + 64*4<<10
			if counted.n > most || counted.n < 32<<10*60 {
				t.Errorf("segments of %d: read %d bytes, want %d to %d", segment, counted.n, 32<<10*60, most)
			}
			if n := netio.BuffersOut(); n != 0 {
				t.Errorf("buffers out: got %d, want 0", n)
			}
		})
	}
}

// counting counts what is read of a stream. It is a Waiter as its stream is.
type counting struct {
	core.Stream
	n int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	c.n += n
	return n, err
}

func (c *counting) WaitRead() error { return netio.WaitReadable(c.Stream) }

func (c *counting) Write([]byte) (int, error) { return 0, errors.New("something was sent") }

// A silent peer is waited for until the deadline; the peer's own end ends all.
func TestDrainEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(prober core.Stream)
		want time.Duration
	}{
		{"silent", func(core.Stream) {}, time.Minute},
		{"FIN", func(p core.Stream) { p.CloseWrite() }, time.Second},
		{"bytes and FIN", func(p core.Stream) { p.Write(make([]byte, 100)); p.CloseWrite() }, time.Second},
		{"4 KiB and FIN", func(p core.Stream) { p.Write(make([]byte, 4<<10)); p.CloseWrite() }, time.Second},
		{"60 KiB and FIN", func(p core.Stream) { p.Write(make([]byte, 60<<10)); p.CloseWrite() }, time.Second},
		{"reset", func(p core.Stream) { ending.Reset(p) }, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				prober, server := coretest.Pipe()
				defer prober.Close()
				began := time.Now()
				time.AfterFunc(time.Second, func() { tc.end(prober) })
				_ = server.SetReadDeadline(began.Add(time.Minute))
				ending.Drain(server)
				took := time.Since(began)
				if tc.want == time.Minute && took > tc.want {
					took -= time.Millisecond // which a pipe waits for what is on its way
				}
				if took != tc.want {
					t.Errorf("ended after %s, want %s", took, tc.want)
				}
				server.Close()
			})
		})
	}
}

// At the deadline the peer of a real connection sees an end, not a reset, though
// there is more from it than was read.
func TestDrainUnread(t *testing.T) {
	for _, size := range []int{1, 100, 5000, 100_000} {
		prober, server := coretest.TCPPair(t)
		coretest.Write(t, prober, coretest.Pattern(size, 1))
		_ = server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		ending.Drain(server)
		server.Close()
		if n, err := prober.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%d unread bytes: got %d, %v, want 0, EOF", size, n, err)
		}
	}
}

// A deadline that has passed ends at once.
func TestDrainLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		prober, server := coretest.Pipe()
		defer prober.Close()
		defer server.Close()
		began := time.Now()
		_ = server.SetReadDeadline(began.Add(-time.Second))
		ending.Drain(server)
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("ended after %s, want at most 50ms", took)
		}
		coretest.ReadAll(t, prober, nil)
	})
}

// A drain hears of a deadline that is brought forward.
func TestDrainHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		prober, server := coretest.Pipe()
		defer prober.Close()
		defer server.Close()
		began := time.Now()
		_ = server.SetReadDeadline(began.Add(time.Hour))
		time.AfterFunc(time.Second, func() { _ = server.SetReadDeadline(time.Unix(1, 0)) })
		ending.Drain(server)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("ended after %s, want about 1s", took)
		}
	})
}

// A dismissed peer gets its answer and an end, though more comes from it.
func TestDismiss(t *testing.T) {
	for _, size := range []int{0, 1, 100_000} {
		peer, server := coretest.TCPPair(t)
		coretest.Write(t, peer, coretest.Pattern(size, 1))
		coretest.Write(t, server, []byte("no"))
		coretest.Together(func() { ending.Dismiss(server) }, func() { coretest.ReadAll(t, peer, []byte("no")); peer.Close() })
	}
	synctest.Test(t, func(t *testing.T) {
		peer, server := coretest.Pipe()
		defer peer.Close()
		began := time.Now()
		ending.Dismiss(server)
		if took := time.Since(began); took != time.Second {
			t.Errorf("a silent peer: got its end after %s, want 1s", took)
		}
		coretest.ReadAll(t, peer, nil)
	})
}
