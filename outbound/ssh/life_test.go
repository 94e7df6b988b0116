package ssh

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/test/peer"
)

// counted is the bare network, which counts dials.
func counted(n *atomic.Int32) core.Dialer {
	return &coretest.Dialer{Stream: func(ctx context.Context, r *core.Request) (core.Stream, error) {
		n.Add(1)
		return dial.Net{}.DialStream(ctx, r)
	}}
}

// closed waits until a channel is closed.
func closed(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(coretest.Patience):
		t.Fatalf("no %s within %s", what, coretest.Patience)
	}
}

// hashServer answers each connection with the SHA-256 of what came until its end.
func hashServer(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				h := sha256.New()
				if _, err := io.Copy(h, c); err == nil {
					_, _ = c.Write(h.Sum(nil))
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

// TestManyStreams has 100 streams side by side, over one connection and over three.
func TestManyStreams(t *testing.T) {
	s := peer.SSHServer(t)
	target := hashServer(t)
	for _, connections := range []int{1, 3} {
		var dials atomic.Int32
		o := options(t, s)
		o.Connections = connections
		d := over(t, newOutbound(t, o), counted(&dials))
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 1))
				body := coretest.Pattern(100_000+r.IntN(300_000), byte(i))
				st, err := d.DialStream(t.Context(), request(target))
				if err != nil {
					t.Error(err)
					return
				}
				defer st.Close()
				for rest := body; len(rest) > 0; {
					n := min(len(rest), 1+r.IntN(60_000))
					coretest.Write(t, st, rest[:n])
					rest = rest[n:]
				}
				coretest.CloseWrite(t, st)
				sum := sha256.Sum256(body)
				coretest.ReadAll(t, st, sum[:])
			})
		}
		all.Wait()
		if n := int(dials.Load()); n != connections {
			t.Errorf("%d connections: dialled %d times", connections, n)
		}
	}
}

// TestSharedDial has requests wait for one dial, of which one gives up: the dial goes on.
func TestSharedDial(t *testing.T) {
	s := peer.SSHServer(t)
	var dials atomic.Int32
	begun, release := make(chan struct{}), make(chan struct{})
	wire := &coretest.Dialer{Stream: func(ctx context.Context, r *core.Request) (core.Stream, error) {
		if dials.Add(1) == 1 {
			close(begun)
		}
		select {
		case <-release:
			return dial.Net{}.DialStream(ctx, r)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	d := over(t, newOutbound(t, options(t, s)), wire)
	target := hashServer(t)
	first, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		_, err := d.DialStream(first, request(target))
		gaveUp <- err
	}()
	closed(t, "the dial", begun)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			st, err := d.DialStream(t.Context(), request(target))
			if err != nil {
				t.Error(err)
				return
			}
			st.Close()
		})
	}
	cancel()
	if err := coretest.Await(t, "the cancelled request", gaveUp); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	close(release)
	all.Wait()
	if n := dials.Load(); n != 1 {
		t.Errorf("dialled %d times, want once", n)
	}
}

// TestRetryWait checks that a server that can't be reached is not dialled for each request.
func TestRetryWait(t *testing.T) {
	s := peer.SSHServer(t)
	for _, tc := range []struct {
		name  string
		err   error
		wait  time.Duration
		dials int32
	}{
		{"wait", errors.New("no route"), time.Hour, 1},
		{"no wait", errors.New("no route"), 0, 5},
	} {
		var dials atomic.Int32
		wire := &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) {
			dials.Add(1)
			return nil, core.Sent(core.AtTarget(tc.err))
		}}
		o := options(t, s)
		o.RetryWait = option.Duration(tc.wait)
		d := over(t, newOutbound(t, o), wire)
		for range 5 {
			_, err := d.DialStream(t.Context(), request("127.0.0.1:1"))
			if !errors.Is(err, tc.err) || core.IsAtTarget(err) || core.IsSent(err) {
				t.Errorf("%s: got %v, want %v of the server", tc.name, err, tc.err)
			}
		}
		if n := dials.Load(); n != tc.dials {
			t.Errorf("%s: dialled %d times, want %d", tc.name, n, tc.dials)
		}
	}
}

// TestLost kills OpenSSH under running streams: each ends with an error, and the next request
// has a new connection once the server is back.
func TestLost(t *testing.T) {
	s := peer.SSHServer(t)
	var dials atomic.Int32
	d := over(t, newOutbound(t, options(t, s)), counted(&dials))
	var streams []core.Stream
	for range 5 {
		st, far := pair(t, d)
		coretest.Write(t, far, []byte("half an ans"))
		coretest.Read(t, st, []byte("half an ans"))
		streams = append(streams, st)
	}
	reader := make(chan error, 1)
	go func() { _, err := streams[0].Read(make([]byte, 1)); reader <- err }()
	s.Kill(t)
	if err := coretest.Await(t, "the end of a read", reader); !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, errLost) {
		t.Errorf("a read in progress: got %v, want io.ErrUnexpectedEOF", err)
	}
	for _, st := range streams {
		if n, err := st.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("read: got %d, %v, want an error that is no end", n, err)
		}
		for err := error(nil); err == nil; {
			if _, err = st.Write([]byte("x")); err != nil && !errors.Is(err, errLost) {
				t.Errorf("write: got %v, want a lost connection", err)
			}
		}
	}
	if _, err := d.DialStream(t.Context(), request("127.0.0.1:1")); core.ReasonOf(err) != "refused" || core.IsAtTarget(err) {
		t.Errorf("no server: got %v, want refused by the server", err)
	}
	s.Restart(t)
	st, far := pair(t, d)
	coretest.Write(t, st, []byte("again"))
	coretest.Read(t, far, []byte("again"))
	if n := dials.Load(); n != 3 {
		t.Errorf("dialled %d times, want 3", n)
	}
}

// TestRetire checks that the connection of an old file ends with its last stream, whose last
// bytes arrive.
func TestRetire(t *testing.T) {
	s := peer.SSHServer(t)
	out := newOutbound(t, options(t, s))
	d := over(t, out, dial.Net{})
	st, far := pair(t, d)
	connection := out.all()[0].sessions()[0]
	out.Retire()
	coretest.Write(t, far, []byte("more"))
	coretest.Read(t, st, []byte("more"))
	last := coretest.Pattern(1<<20, 1)
	coretest.Together(func() { coretest.Write(t, st, last); st.Close() }, func() { coretest.ReadAll(t, far, last); far.Close() })
	closed(t, "the end of the connection", connection.done)
}

// TestAbort closes a stream whose target takes nothing: nothing waits for that.
func TestAbort(t *testing.T) {
	s := peer.SSHServer(t)
	out := newOutbound(t, options(t, s))
	d := over(t, out, dial.Net{})
	st, far := pair(t, d)
	_ = st.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for err := error(nil); err == nil; {
		_, err = st.Write(make([]byte, 64<<10))
	}
	st.(core.Aborter).Abort()
	if _, err := st.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: got %v, want net.ErrClosed", err)
	}
	other, otherFar := pair(t, d) // the connection goes on
	coretest.Write(t, other, []byte("x"))
	coretest.Read(t, otherFar, []byte("x"))
	far.Close()
}
