package pipeline_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/panics"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// relayed is a relay at work, seen from its ends.
type relayed struct {
	flow           *core.Flow
	client, target core.Stream // far ends
	near, upstream core.Stream // the relay's
	done           chan error
}

// startRelay runs a relay between two connections. edit, which may be nil, may wrap
// the relay's ends first.
func startRelay(t testing.TB, makeClient, makeTarget func(testing.TB) (a, b core.Stream), edit func(*relayed)) *relayed {
	t.Helper()
	r := &relayed{flow: new(core.Flow), done: make(chan error, 1)}
	r.client, r.near = makeClient(t)
	r.target, r.upstream = makeTarget(t)
	if edit != nil {
		edit(r)
	}
	go func() {
		err := pipeline.NewJoiner(idleTimeout).Join(r.flow, r.near, r.upstream)
		r.done <- err
	}()
	return r
}

// close closes all four ends.
func (r *relayed) close() {
	for _, s := range []core.Stream{r.client, r.near, r.target, r.upstream} {
		s.Close()
	}
}

// counted checks the counters.
func (r *relayed) counted(t testing.TB, up, down int) {
	t.Helper()
	if gotUp, gotDown := r.flow.Up.Load(), r.flow.Down.Load(); gotUp != int64(up) || gotDown != int64(down) {
		t.Errorf("counters: got %d up, %d down, want %d, %d", gotUp, gotDown, up, down)
	}
}

// eachRelay runs f with every pair of kinds of connection.
func eachRelay(t *testing.T, f func(t *testing.T, client, target func(testing.TB) (a, b core.Stream))) {
	for _, client := range coretest.Pairs {
		for _, target := range coretest.Pairs {
			t.Run(client.Name+" to "+target.Name, func(t *testing.T) { f(t, client.Make, target.Make) })
		}
	}
}

func TestRelayHalfClose(t *testing.T) {
	up, down := coretest.Pattern(3<<20+1, 1), coretest.Pattern(3<<20+2, 2)
	for _, first := range []string{"client", "target"} {
		t.Run(first+" ends first", func(t *testing.T) {
			eachRelay(t, func(t *testing.T, makeClient, makeTarget func(testing.TB) (a, b core.Stream)) {
				r := startRelay(t, makeClient, makeTarget, nil)
				defer r.close()
				one, other, there, back := r.client, r.target, up, down
				if first == "target" {
					one, other, there, back = r.target, r.client, down, up
				}
				coretest.Together(
					func() { coretest.Write(t, one, there); coretest.CloseWrite(t, one) },
					func() { coretest.ReadAll(t, other, there) },
				)
				coretest.Together(
					func() { coretest.Write(t, other, back); coretest.CloseWrite(t, other) },
					func() { coretest.ReadAll(t, one, back) },
				)
				if err := coretest.Await(t, "the relay's end", r.done); err != nil {
					t.Errorf("relay: got %v, want nil", err)
				}
				r.counted(t, len(up), len(down))
			})
		})
	}
}

func TestRelayBothAtOnce(t *testing.T) {
	up, down := coretest.Pattern(2<<20+1, 1), coretest.Pattern(2<<20+2, 2)
	eachRelay(t, func(t *testing.T, makeClient, makeTarget func(testing.TB) (a, b core.Stream)) {
		r := startRelay(t, makeClient, makeTarget, nil)
		defer r.close()
		coretest.Together(
			func() { coretest.Write(t, r.client, up); coretest.CloseWrite(t, r.client) },
			func() { coretest.Write(t, r.target, down); coretest.CloseWrite(t, r.target) },
			func() { coretest.ReadAll(t, r.client, down) },
			func() { coretest.ReadAll(t, r.target, up) },
		)
		if err := coretest.Await(t, "the relay's end", r.done); err != nil {
			t.Errorf("relay: got %v, want nil", err)
		}
		r.counted(t, len(up), len(down))
	})
}

// Both peers close at the same moment, without a word.
func TestRelayPeersClose(t *testing.T) {
	eachRelay(t, func(t *testing.T, makeClient, makeTarget func(testing.TB) (a, b core.Stream)) {
		r := startRelay(t, makeClient, makeTarget, nil)
		defer r.close()
		coretest.Write(t, r.client, []byte("x"))
		coretest.Read(t, r.target, []byte("x"))
		coretest.Together(func() { r.client.Close() }, func() { r.target.Close() })
		if err := coretest.Await(t, "the relay's end", r.done); err != nil {
			t.Errorf("relay: got %v, want nil", err)
		}
		r.counted(t, 1, 0)
	})
}

// A reset of one side resets the other, behind what came before it.
func TestRelayReset(t *testing.T) {
	for _, who := range []string{"client", "target"} {
		t.Run(who, func(t *testing.T) {
			eachRelay(t, func(t *testing.T, makeClient, makeTarget func(testing.TB) (a, b core.Stream)) {
				r := startRelay(t, makeClient, makeTarget, nil)
				defer r.close()
				one, other := r.client, r.target
				if who == "target" {
					one, other = r.target, r.client
				}
				coretest.Write(t, one, []byte("before"))
				coretest.Read(t, other, []byte("before"))
				ending.Reset(one)
				if got, err := io.ReadAll(other); len(got) > 0 || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("read: got %q, %v, want ECONNRESET alone", got, err)
				}
				if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("relay: got %v, want ECONNRESET", err)
				}
			})
		})
	}
}

// faulty is a stream that gives some bytes and then fails or panics. It is no
// Waiter and not bare.
type faulty struct {
	core.Stream
	bytes  []byte
	err    error
	panics any
	mu     sync.Mutex
	absorb chan struct{} // what Absorb waits for
}

func (f *faulty) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := copy(b, f.bytes); n > 0 {
		f.bytes = f.bytes[n:]
		return n, nil
	}
	if f.panics != nil {
		panic(f.panics)
	}
	return 0, f.err
}

func TestRelayBrokenTarget(t *testing.T) {
	for _, fault := range []error{core.ErrAuth, core.ErrMalformed, io.ErrUnexpectedEOF, core.ErrReplay, syscall.ECONNRESET, syscall.ETIMEDOUT} {
		t.Run(fault.Error(), func(t *testing.T) {
			for _, pair := range sockets {
				t.Run(pair.Name, func(t *testing.T) {
					r := startRelay(t, pair.Make, coretest.Pairs[0].Make, func(r *relayed) {
						r.upstream = &faulty{Stream: r.upstream, bytes: []byte("good"), err: fault}
					})
					defer r.close()
					if got, err := io.ReadAll(r.client); string(got) != "good" || !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("the client's read: got %q, %v, want %q, ECONNRESET", got, err, "good")
					}
					if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, fault) {
						t.Errorf("relay: got %v, want %v", err, fault)
					}
				})
			}
		})
	}
}

// A client whose stream broke and that can't hide it is cut; its target does not
// take the part for the whole.
func TestRelayBrokenClient(t *testing.T) {
	for _, pair := range sockets {
		t.Run(pair.Name, func(t *testing.T) {
			r := startRelay(t, coretest.Pairs[0].Make, pair.Make, func(r *relayed) {
				r.near = &faulty{Stream: r.near, bytes: []byte("good"), err: core.ErrAuth}
			})
			defer r.close()
			if got, err := io.ReadAll(r.target); string(got) != "good" || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the target's read: got %v, want ECONNRESET", err)
			}
			if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, core.ErrAuth) {
				t.Errorf("relay: got %v, want %v", err, core.ErrAuth)
			}
			r.counted(t, 4, 0)
		})
	}
}

// absorbing is a faulty stream that hides its failure.
type absorbing struct{ *faulty }

func (a absorbing) Absorb() { <-a.absorb }

// A client whose stream broke and that hides it is read on; the target gets what
// was good and an end, and may still answer.
func TestRelayAbsorbs(t *testing.T) {
	absorb := make(chan struct{})
	r := startRelay(t, coretest.Pairs[0].Make, coretest.Pairs[1].Make, func(r *relayed) {
		r.near = absorbing{&faulty{Stream: r.near, bytes: []byte("good"), err: core.ErrAuth, absorb: absorb}}
	})
	defer r.close()
	coretest.ReadAll(t, r.target, []byte("good"))
	coretest.Write(t, r.target, []byte("answer"))
	coretest.Read(t, r.client, []byte("answer"))
	select {
	case err := <-r.done:
		t.Errorf("the relay ended before its client was absorbed: %v", err)
	default:
	}
	close(absorb)
	if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, core.ErrAuth) {
		t.Errorf("relay: got %v, want %v", err, core.ErrAuth)
	}
}

func TestRelayPanics(t *testing.T) {
	for _, who := range []string{"client", "target"} {
		t.Run(who, func(t *testing.T) {
			r := startRelay(t, coretest.Pairs[0].Make, coretest.Pairs[1].Make, func(r *relayed) {
				if who == "client" {
					r.near = &faulty{Stream: r.near, panics: "slice bounds"}
				} else {
					r.upstream = &faulty{Stream: r.upstream, panics: "slice bounds"}
				}
			})
			defer r.close()
			err := coretest.Await(t, "the relay's end", r.done)
			var panicked *panics.Error
			if !errors.As(err, &panicked) || panicked.Value != "slice bounds" || len(panicked.Stack) == 0 {
				t.Fatalf("relay: got %v, want a PanicError with a stack", err)
			}
			if want := "panic: slice bounds"; err.Error() != want {
				t.Errorf("text: got %q, want %q", err, want)
			}
			for _, far := range []core.Stream{r.client, r.target} {
				if n, err := far.Read(make([]byte, 1)); n != 0 || err == nil {
					t.Errorf("the far end's read: got %d, %v, want 0, an error", n, err)
				}
			}
		})
	}
}

func TestRelayCut(t *testing.T) {
	errCut := errors.New("quota")
	eachRelay(t, func(t *testing.T, makeClient, makeTarget func(testing.TB) (a, b core.Stream)) {
		r := startRelay(t, makeClient, makeTarget, nil)
		defer r.close()
		coretest.Write(t, r.client, []byte("x"))
		coretest.Read(t, r.target, []byte("x"))
		r.flow.Cut(errCut)
		r.flow.Cut(core.ErrIdle) // the first cause is kept
		if err := coretest.Await(t, "the relay's end", r.done); err != errCut {
			t.Errorf("relay: got %v, want %v", err, errCut)
		}
		for _, far := range []core.Stream{r.client, r.target} {
			if n, err := far.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("the far end's read: got %d, %v, want 0, an error", n, err)
			}
		}
	})
}

// A flow that was cut before its relay ends at once.
func TestRelayCutBefore(t *testing.T) {
	r := startRelay(t, coretest.Pairs[0].Make, coretest.Pairs[1].Make, func(r *relayed) { r.flow.Cut(core.ErrShutdown) })
	defer r.close()
	if err := coretest.Await(t, "the relay's end", r.done); err != core.ErrShutdown {
		t.Errorf("relay: got %v, want %v", err, core.ErrShutdown)
	}
}

// A cut ends a relay whose client does not read.
func TestRelayCutWhileWriting(t *testing.T) {
	eachRelay(t, func(t *testing.T, makeClient, makeTarget func(testing.TB) (a, b core.Stream)) {
		r := startRelay(t, makeClient, makeTarget, nil)
		defer r.close()
		full := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			_ = r.target.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			for {
				if _, err := r.target.Write(make([]byte, 64<<10)); err != nil {
					close(full)
					return
				}
			}
		})
		<-full
		r.flow.Cut(core.ErrIdle)
		if err := coretest.Await(t, "the relay's end", r.done); err != core.ErrIdle {
			t.Errorf("relay: got %v, want %v", err, core.ErrIdle)
		}
		all.Wait()
	})
}

var _ net.Conn = (*faulty)(nil)
