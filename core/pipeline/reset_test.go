package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
)

// sockets are the pairs whose bytes the kernel delivers, before a reset too.
var sockets = coretest.Pairs[1:]

// hiding is a client's stream that shows no reset, as the server's side of a cipher.
type hiding struct{ core.Stream }

func (hiding) Absorb() {}

func (h hiding) NetConn() net.Conn { return h.Stream }

// interrupting is a hiding stream that marks an incomplete end by "!".
type interrupting struct{ hiding }

func (i interrupting) Interrupt() error {
	if _, err := i.Write([]byte("!")); err != nil {
		return err
	}
	return i.CloseWrite()
}

// A client whose wire strangers may watch sees no reset of the target.
func TestRelayHidesReset(t *testing.T) {
	for _, tc := range []struct {
		name string
		wrap func(core.Stream) core.Stream
		want string
	}{
		{"a method that can mark the end", func(s core.Stream) core.Stream { return interrupting{hiding{s}} }, "before!"},
		{"a method that can't", func(s core.Stream) core.Stream { return hiding{s} }, "before"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, pair := range sockets {
				t.Run(pair.Name, func(t *testing.T) {
					r := startRelay(t, pair.Make, pair.Make, func(r *relayed) { r.near = tc.wrap(r.near) })
					defer r.close()
					coretest.Write(t, r.target, []byte("before"))
					ending.Deliver(r.target, nil)
					ending.Reset(r.target)
					coretest.ReadAll(t, r.client, []byte(tc.want))
					if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("relay: got %v, want ECONNRESET", err)
					}
				})
			}
		})
	}
}

// A client that has proved nothing sees no reset and no mark.
func TestRelayHidesResetOfUnproven(t *testing.T) {
	for _, pair := range sockets {
		t.Run(pair.Name, func(t *testing.T) {
			s := newStage(t)
			v := s.visit(t, pair.Make)
			v.near = interrupting{hiding{v.near}}
			v.request.Unproven = true
			target, upstream := pair.Make(t)
			s.dialer.Stream = func(context.Context, *core.Request) (core.Stream, error) { return upstream, nil }
			s.serve(t, v)
			v.reply(t, nil)
			coretest.Write(t, target, []byte("before"))
			ending.Deliver(target, nil)
			ending.Reset(target)
			coretest.ReadAll(t, v.far, []byte("before"))
			s.gate.WaitEnds(t, 1)
		})
	}
}

// A target that closes with unread bytes while the client sends resets its connection:
// its last bytes arrive, and then a reset.
func TestRelayDeliversOfLostTarget(t *testing.T) {
	for _, client := range sockets {
		for _, target := range sockets {
			t.Run(client.Name+" to "+target.Name, func(t *testing.T) {
				r := startRelay(t, client.Make, target.Make, nil)
				defer r.close()
				last := coretest.Pattern(40_000, 1)
				coretest.Write(t, r.client, []byte("unread"))
				if err := netio.WaitReadable(r.target); err != nil {
					t.Fatal(err)
				}
				coretest.Write(t, r.target, last)
				ending.Deliver(r.target, nil)
				sending := make(chan struct{})
				go func() {
					defer close(sending)
					for {
						if _, err := r.client.Write(make([]byte, 1000)); err != nil {
							return
						}
					}
				}()
				r.target.Close()
				if got, err := io.ReadAll(r.client); len(got) != len(last) || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && err != nil {
					t.Errorf("the client's read: got %d bytes, %v, want %d, ECONNRESET", len(got), err, len(last))
				}
				<-sending
			})
		}
	}
}

// A target that has ended its direction and is gone then: a client that is silent hears
// of the reset.
func TestRelayResetAfterEnd(t *testing.T) {
	for _, client := range sockets {
		for _, target := range sockets {
			t.Run(client.Name+" to "+target.Name, func(t *testing.T) {
				r := startRelay(t, client.Make, target.Make, nil)
				defer r.close()
				coretest.CloseWrite(t, r.target)
				coretest.ReadAll(t, r.client, nil)
				ending.Reset(r.target)
				if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("relay: got %v, want a reset", err)
				}
			})
		}
	}
}

// The queue of a client that reads late is delivered before the reset.
func TestRelayResetsBehindQueue(t *testing.T) {
	r := startRelay(t, sockets[0].Make, sockets[0].Make, nil)
	defer r.close()
	all := coretest.Pattern(8<<20, 1)
	var got []byte
	var err error
	coretest.Together(
		func() { coretest.Write(t, r.target, all); ending.Deliver(r.target, nil); ending.Reset(r.target) },
		func() { got, err = io.ReadAll(r.client) },
	)
	if len(got) != len(all) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client's read: got %d bytes, %v, want %d, ECONNRESET", len(got), err, len(all))
	}
}

// The fatal alert of a TLS target comes from reading: a client that only reads hears of it.
func TestRelayFatalAlert(t *testing.T) {
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: internal error")} // as crypto/tls returns it
	for name, fault := range map[string]error{"as it is": alert, "of an incomplete stream": fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, alert)} {
		t.Run(name, func(t *testing.T) {
			r := startRelay(t, sockets[0].Make, sockets[0].Make, func(r *relayed) {
				r.upstream = &faulty{Stream: r.upstream, bytes: []byte("good"), err: fault}
			})
			defer r.close()
			if got, err := io.ReadAll(r.client); string(got) != "good" || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client's read: got %q, %v, want %q, ECONNRESET", got, err, "good")
			}
			if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, alert) {
				t.Errorf("relay: got %v, want %v", err, alert)
			}
		})
	}
}

// unending is a stream whose end can't be passed on.
type unending struct{ core.Stream }

func (unending) CloseWrite() error { return &net.OpError{Op: "write", Err: syscall.EHOSTUNREACH} }

// slowly is an interrupting stream whose first Write waits. It may not be interrupted then.
type slowly struct {
	interrupting
	writing, goOn chan struct{}
	busy          *bool
}

func (s slowly) Write(b []byte) (int, error) {
	*s.busy = true
	close(s.writing)
	<-s.goOn
	*s.busy = false
	return s.interrupting.Write(b)
}

func (s slowly) Interrupt() error {
	if *s.busy {
		return errors.New("interrupted during a Write")
	}
	return s.interrupting.Interrupt()
}

// An end that can't be passed on waits for what the other direction is writing.
func TestRelayInterruptsNoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slowly{writing: make(chan struct{}), goOn: make(chan struct{}), busy: new(bool)}
		pipe := func(testing.TB) (a, b core.Stream) { return coretest.Pipe() }
		r := startRelay(t, pipe, pipe, func(r *relayed) {
			s.interrupting = interrupting{hiding{r.near}}
			r.near, r.upstream = s, unending{r.upstream}
		})
		defer r.close()
		coretest.Write(t, r.target, []byte("before"))
		<-s.writing
		coretest.CloseWrite(t, r.client)
		synctest.Wait() // the end could not be passed on
		close(s.goOn)
		coretest.CloseWrite(t, r.target)
		coretest.ReadAll(t, r.client, []byte("before!"))
		if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("relay: got %v, want EHOSTUNREACH", err)
		}
	})
}

// A client that is uploading when its target resets sees an end on its wire, and no reset
// behind it: what it had sent is read before the close.
func TestRelayHidesResetOfUpload(t *testing.T) {
	for _, tc := range []struct {
		name string
		wrap func(core.Stream) core.Stream
		want string
	}{
		{"a method that can mark the end", func(s core.Stream) core.Stream { return interrupting{hiding{s}} }, "before!"},
		{"a method that can't", func(s core.Stream) core.Stream { return hiding{s} }, "before"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := startRelay(t, sockets[0].Make, sockets[0].Make, func(r *relayed) {
				_ = netio.TCP(r.upstream).SetWriteBuffer(4 << 10)
				_ = netio.TCP(r.target).SetReadBuffer(4 << 10)
				r.near = tc.wrap(r.near)
			})
			defer r.close()
			sent := make(chan error, 1)
			go func() {
				for left := 64; ; left-- { // 4 MiB, which the target does not read
					if _, err := r.client.Write(make([]byte, 64<<10)); err != nil || left == 0 {
						sent <- err
						return
					}
				}
			}()
			coretest.Write(t, r.target, []byte("before"))
			coretest.Read(t, r.client, []byte("before"))
			if err := netio.WaitReadable(r.target); err != nil {
				t.Fatal(err)
			}
			ending.Reset(r.target)
			coretest.ReadAll(t, r.client, []byte(tc.want[len("before"):]))
			if err := coretest.Await(t, "the upload", sent); err != nil {
				t.Errorf("the client's write: got %v, want nil", err)
			}
			if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("relay: got %v, want a reset", err)
			}
			if netio.WasReset(r.client) {
				t.Error("the client's connection was reset")
			}
		})
	}
}
