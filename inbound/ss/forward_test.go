package ss

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// decoy is a server that greets after the first byte and, when its client has
// ended, tells the hash of all that it got.
type decoy struct {
	net.Listener
	mu    sync.Mutex
	conns int // guarded by mu
	group sync.WaitGroup
}

const greeting = "HTTP/1.1 400 Bad Request\r\n\r\n"

func newDecoy(t *testing.T) *decoy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &decoy{Listener: ln}
	d.group.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.conns++
			d.mu.Unlock()
			d.group.Go(func() { d.serve(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); d.group.Wait() })
	return d
}

func (d *decoy) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	hash, first := sha256.New(), make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return
	}
	hash.Write(first)
	if _, err := io.WriteString(conn, greeting); err != nil {
		return
	}
	if _, err := io.Copy(hash, conn); err == nil {
		_, _ = conn.Write(hash.Sum(nil))
	}
}

func (d *decoy) served() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conns
}

// forwarding starts a server that gives strangers to a decoy.
func forwarding(t *testing.T, c core.Cipher, to string, p core.Handler) netip.AddrPort {
	t.Helper()
	at := coretest.FreeAddr(t)
	o := options(t, at.String())
	o.HandshakeTimeout, o.Mode, o.Reject = option.Duration(time.Minute), "tcp", option.RejectForward
	if err := o.Decoy.UnmarshalText([]byte(to)); err != nil {
		t.Fatal(err)
	}
	s, err := New(env(c), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.WithoutCancel(t.Context()), p) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(ctx)
		<-done
	})
	return at
}

// TestForward sends probes of all kinds to a server of each method: each gets what
// the decoy says, at once, however few bytes it sent, and the decoy gets all of it.
func TestForward(t *testing.T) {
	for _, m := range methods(t) {
		t.Run(m.name, func(t *testing.T) {
			d, p := newDecoy(t), &fakePipeline{}
			at := forwarding(t, m.cipher(t), d.Addr().String(), p)
			all := probes(hello(t, m.cipher(t), "hello"))
			var group sync.WaitGroup
			turns, sent := make(chan struct{}, 16), 0
			for name, probe := range all {
				if len(probe) == 0 {
					continue // who says nothing gets no greeting
				}
				turns <- struct{}{}
				sent++
				conn, cut, more := dial(t, at), strings.HasPrefix(name, "request cut"), "more"
				group.Go(func() {
					defer func() { <-turns }()
					defer conn.Close()
					if _, err := conn.Write(probe); err != nil {
						t.Errorf("%s: write: %v", name, err)
					}
					if cut {
						more = ""
						_ = conn.CloseWrite()
					}
					said := make([]byte, len(greeting))
					if _, err := io.ReadFull(conn, said); err != nil || string(said) != greeting {
						t.Errorf("%s: got %q, %v, want the decoy's greeting", name, said, err)
					}
					_, _ = conn.Write([]byte(more))
					_ = conn.CloseWrite()
					want := sha256.Sum256(append(bytes.Clone(probe), more...))
					if rest, err := io.ReadAll(conn); err != nil || !bytes.Equal(rest, want[:]) {
						t.Errorf("%s: the decoy got other bytes, or %v", name, err)
					}
				})
			}
			group.Wait()
			if served, events := p.seen(); served != 0 || len(events) != sent {
				t.Errorf("got %d requests and %d events, want 0 and %d", served, len(events), sent)
			}
		})
	}
}

// TestForwardServes sends requests in pieces: they are served although the decoy has
// seen their beginning, as long as it has not answered; a recording is the decoy's.
func TestForwardServes(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := &fakePipeline{}
	c := newCipher(t)
	at := forwarding(t, c, silent.Addr().String(), p)
	flight := hello(t, newCipher(t), "hello")
	for _, cut := range []int{0, 1, 49, 50, 51, len(flight) - 1} {
		flight := hello(t, newCipher(t), "hello")
		conn := dial(t, at)
		if _, err := conn.Write(flight[:cut]); err != nil {
			t.Fatal(err)
		}
		if cut > 0 && cut <= 49 { // the decoy has been reached: the server waits for more
			got, err := silent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
		}
		if _, err := conn.Write(flight[cut:]); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if said, err := io.ReadAll(conn); err != nil || len(said) == 0 {
			t.Errorf("cut at %d: got %d bytes, %v, want an answer", cut, len(said), err)
		}
	}
	if served, events := p.seen(); served != 6 || len(events) != 0 {
		t.Errorf("got %d requests and events %v, want 6 and none", served, events)
	}
	d := newDecoy(t)
	at = forwarding(t, c, d.Addr().String(), p)
	for range 2 {
		conn := dial(t, at)
		if _, err := conn.Write(flight); err != nil {
			t.Fatal(err)
		}
		_ = conn.CloseWrite()
		_, _ = io.ReadAll(conn)
	}
	if served, _ := p.seen(); served != 7 || d.served() != 1 {
		t.Errorf("got %d requests and %d connections to the decoy, want 7 and 1", served, d.served())
	}
}

// banning refuses everybody before a byte is read.
type banning struct{ fakePipeline }

func (*banning) Admit(core.Client) error { return core.ErrDenied }

// TestForwardBanned gives those that a policy refuses to the decoy too, and drains
// where there is no decoy.
func TestForwardBanned(t *testing.T) {
	d := newDecoy(t)
	at := forwarding(t, newCipher(t), d.Addr().String(), &banning{})
	conn := dial(t, at)
	if _, err := conn.Write(hello(t, newCipher(t), "hello")); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len(greeting))
	if _, err := io.ReadFull(conn, said); err != nil || string(said) != greeting {
		t.Errorf("got %q, %v, want the decoy's greeting", said, err)
	}
	nobody := coretest.FreeAddr(t)
	at = forwarding(t, newCipher(t), nobody.String(), &fakePipeline{})
	for _, n := range []int{1, 300} {
		conn := dial(t, at)
		if _, err := conn.Write(noise(n)); err != nil {
			t.Fatal(err)
		}
		_ = conn.CloseWrite()
		if said, err := io.ReadAll(conn); len(said) > 0 || err != nil {
			t.Errorf("%d bytes, no decoy: got %q, %v, want an end in order", n, said, err)
		}
	}
}

func TestRejection(t *testing.T) {
	for _, tc := range []struct {
		name, reject, decoy, key string
	}{
		{"default", "", "", ""},
		{"reset", "reset", "", ""},
		{"forward", "forward", "127.0.0.1:80", ""},
		{"forward without a decoy", "forward", "", "decoy"},
		{"decoy without forward", "drain", "127.0.0.1:80", "decoy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, "127.0.0.1:8388")
			o.Mode = "tcp"
			if tc.reject != "" {
				if err := o.Reject.UnmarshalText([]byte(tc.reject)); err != nil {
					t.Fatal(err)
				}
			}
			if tc.decoy != "" {
				if err := o.Decoy.UnmarshalText([]byte(tc.decoy)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := New(env(newCipher(t)), o)
			if bad, ok := errors.AsType[*core.OptionError](err); ok != (tc.key != "") || ok && bad.Key != tc.key {
				t.Errorf("got %v, want the key %q", err, tc.key)
			}
		})
	}
}

// TestPatience: a server that closes or resets does so sooner, and still at a time
// that its key alone fixes.
func TestPatience(t *testing.T) {
	c := newCipher(t)
	for how, want := range map[option.Reject]time.Duration{
		"": ending.Patience(c), option.RejectDrain: ending.Patience(c), option.RejectForward: ending.Patience(c),
		option.RejectClose: ending.Patience(c) / 6, option.RejectReset: ending.Patience(c) / 6,
	} {
		if got := (inbound.Rejection{Reject: how}).Patience(c); got != want {
			t.Errorf("%q: got %s, want %s", how, got, want)
		}
	}
}
