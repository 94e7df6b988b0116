package ss

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// newCipher returns a cipher of its own for each password.
func newCipher(t testing.TB, password string) core.Cipher {
	t.Helper()
	s := aead.Specs()[2]
	c, err := aead.New(s, key.FromPassword(password, s.KeySize), replay.NewSalts(100))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// recorder is a wire that records requests, and writes after them.
type recorder struct {
	requests []core.Request
	payloads [][]byte
	writes   [][]byte
	closed   bool
	err      error // what a dial returns, if not nil
	ctx      context.Context
}

func (w *recorder) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	w.ctx = ctx
	w.requests = append(w.requests, *r)
	w.payloads = append(w.payloads, bytes.Clone(r.Payload))
	if w.err != nil {
		return nil, w.err
	}
	return &recorded{wire: w}, nil
}

func (*recorder) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return nil, core.ErrNoPackets
}

func (*recorder) CheckPackets() error { return core.ErrNoPackets }

func (*recorder) PayloadWait(*core.Request) time.Duration { return time.Hour }

// recorded is a stream over a recorder; it gives what reads has.
type recorded struct {
	net.Conn
	wire  *recorder
	reads []byte
}

func (s *recorded) Read(p []byte) (int, error) {
	if len(s.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.reads)
	s.reads = s.reads[n:]
	return n, nil
}

func (s *recorded) Write(p []byte) (int, error) {
	s.wire.writes = append(s.wire.writes, bytes.Clone(p))
	return len(p), nil
}

func (*recorded) CloseWrite() error                { return nil }
func (s *recorded) Close() error                   { s.wire.closed = true; return nil }
func (*recorded) SetWriteDeadline(time.Time) error { return nil }

// accepted opens what a server of c would read, and returns the target and all
// bytes for it.
func accepted(t testing.TB, c core.Cipher, wire []byte) (core.Addr, []byte) {
	t.Helper()
	a, err := c.AcceptStream(&recorded{wire: &recorder{}, reads: wire}, core.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stream.Close()
	first := bytes.Clone(a.Payload)
	rest, err := io.ReadAll(a.Stream)
	if err != nil {
		t.Fatal(err)
	}
	return a.Target, append(first, rest...)
}

// TestChain sends a request through three hops: it leaves in one write, each
// server finds the next in it, and the last one the target and the payload.
func TestChain(t *testing.T) {
	hops := []string{"paris.example:8388", "192.0.2.2:8388", "[2001:db8::3]:8388"}
	names := []core.Ref[core.Cipher]{"one", "two", "three"}
	g := coretest.Graph{}
	wire := &recorder{}
	var d core.Dialer = wire
	for i, hop := range hops {
		g[names[i]] = newCipher(t, string(names[i]))
		d = over(t, newOutbound(t, g, hop, Options{Cipher: names[i]}), d)
	}
	for _, payload := range [][]byte{nil, []byte("hello"), coretest.Pattern(17_000, 1)} {
		*wire = recorder{}
		r := &core.Request{ID: 7, User: "bob", Target: addr(t, "example.com:443"), Payload: bytes.Clone(payload), Flow: new(core.Flow)}
		before := *r
		s, err := d.DialStream(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if len(wire.requests) != 1 || len(wire.writes) != 0 {
			t.Fatalf("got %d dials and %d writes after them, want one dial that carries all", len(wire.requests), len(wire.writes))
		}
		if got := wire.requests[0]; got.Target != addr(t, hops[0]) || got.ID != 7 || got.Flow != r.Flow || got.IPs != nil {
			t.Errorf("the wire was asked for %s, request %d", got.Target, got.ID)
		}
		if r.Target != before.Target || !bytes.Equal(r.Payload, payload) {
			t.Error("the request was changed")
		}
		inside := wire.payloads[0]
		for i, next := range append(slices.Clone(hops[1:]), "example.com:443") {
			var target core.Addr
			if target, inside = accepted(t, newCipher(t, string(names[i])), inside); target != addr(t, next) {
				t.Fatalf("hop %d: got target %s, want %s", i, target, next)
			}
		}
		if !bytes.Equal(inside, payload) {
			t.Errorf("the target got %d bytes, want %d", len(inside), len(payload))
		}
		if s.Close(); !wire.closed {
			t.Error("the wire was left open")
		}
	}
}

// TestChainWrites checks that one later write through all hops is one write.
func TestChainWrites(t *testing.T) {
	g := ciphers(map[core.Ref[core.Cipher]]core.Cipher{"house": newCipher(t, "house")})
	wire := &recorder{}
	d := over(t, newOutbound(t, g, "192.0.2.1:1", Options{Cipher: "house"}), wire)
	d = over(t, newOutbound(t, g, "192.0.2.2:2", Options{Cipher: "house"}), d)
	s, err := d.DialStream(t.Context(), &core.Request{Target: addr(t, "example.com:443")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, n := range []int{1, 1000, 50_000} {
		if _, err := s.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if len(wire.writes) != i+1 {
			t.Errorf("%d bytes: got %d writes, want 1", n, len(wire.writes)-i)
		}
	}
}

// TestResolved checks which address the server is told, if a resolver was here.
func TestResolved(t *testing.T) {
	g := ciphers(map[core.Ref[core.Cipher]]core.Cipher{"house": newCipher(t, "house")})
	wire := &recorder{}
	d := over(t, newOutbound(t, g, "192.0.2.1:1", Options{Cipher: "house"}), wire)
	for want, ips := range map[string][]netip.Addr{
		"example.com:443":   nil,
		"192.0.2.9:443":     {netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.10")},
		"[2001:db8::1]:443": {netip.MustParseAddr("2001:db8::1")},
		"192.0.2.11:443":    {netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.11")},
		"198.51.100.1:443":  {netip.MustParseAddr("::ffff:198.51.100.1")},
	} {
		*wire = recorder{}
		s, err := d.DialStream(t.Context(), &core.Request{Target: addr(t, "example.com:443"), IPs: ips})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if got, _ := accepted(t, newCipher(t, "house"), wire.payloads[0]); got != addr(t, want) {
			t.Errorf("got target %s, want %s", got, want)
		}
		if wire.requests[0].IPs != nil {
			t.Error("the target's addresses went to the dial of the server")
		}
	}
}

func TestDialError(t *testing.T) {
	refused := errors.New("refused")
	g := ciphers(map[core.Ref[core.Cipher]]core.Cipher{"house": newCipher(t, "house")})
	wire := &recorder{err: core.AtTarget(refused)} // the target of the wire is the server
	d := over(t, newOutbound(t, g, "192.0.2.1:1", Options{Cipher: "house"}), wire)
	type mark struct{}
	ctx := context.WithValue(t.Context(), mark{}, 1)
	s, err := d.DialStream(ctx, &core.Request{Target: addr(t, "example.com:443")})
	if core.IsAtTarget(err) {
		t.Errorf("got %v, marked as of the target, want it to be the server's", err)
	}
	if s != nil || !errors.Is(err, refused) || wire.ctx.Value(mark{}) == nil {
		t.Errorf("got %v, %v, want %v and the caller's context", s, err, refused)
	}
}
