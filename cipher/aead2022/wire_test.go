package aead2022

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/core"
)

// tape is a wire that returns its bytes and then io.EOF, and records writes.
type tape struct {
	reads []byte
	wrote [][]byte
}

var _ core.Stream = (*tape)(nil)

func (w *tape) Read(p []byte) (int, error) {
	if len(w.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.reads)
	w.reads = w.reads[n:]
	return n, nil
}

func (w *tape) Write(p []byte) (int, error) {
	w.wrote = append(w.wrote, bytes.Clone(p))
	return len(p), nil
}

func (w *tape) all() []byte { return slices.Concat(w.wrote...) }

func (*tape) CloseWrite() error                { return nil }
func (*tape) Close() error                     { return nil }
func (*tape) LocalAddr() net.Addr              { return nil }
func (*tape) RemoteAddr() net.Addr             { return nil }
func (*tape) SetDeadline(time.Time) error      { return nil }
func (*tape) SetReadDeadline(time.Time) error  { return nil }
func (*tape) SetWriteDeadline(time.Time) error { return nil }

// flight returns a first flight of c.
func flight(t testing.TB, c *Cipher, target string, payload string) []byte {
	t.Helper()
	wire := &tape{}
	s, err := c.DialStream(addr(t, target), []byte(payload), func(hello []byte) (core.Stream, error) {
		_, err := wire.Write(hello)
		return wire, err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	return wire.all()
}

// accepts checks that c accepts b, and returns the complete plaintext.
func accepts(t testing.TB, c *Cipher, b []byte) (core.Accepted, []byte) {
	t.Helper()
	a, err := c.AcceptStream(&tape{reads: b}, core.Caller{Addr: someone})
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	t.Cleanup(func() { a.Stream.Close() })
	plain := bytes.Clone(a.Payload)
	rest, err := io.ReadAll(a.Stream)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(plain)+len(rest), err)
	}
	return a, append(plain, rest...)
}

// refused checks that c refuses b, and returns the error.
func refused(t testing.TB, c *Cipher, b []byte) error {
	t.Helper()
	wire := &tape{reads: bytes.Clone(b)}
	a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
	if err == nil {
		a.Stream.Close()
		t.Fatalf("%d bytes were accepted, target %s", len(b), a.Target)
	}
	if got := append(a.Payload, wire.reads...); !bytes.Equal(got, b) || len(wire.wrote) > 0 || a.User != "" {
		t.Errorf("refused with %v: got %d bytes back of %d, %d writes, user %q", err, len(got), len(b), len(wire.wrote), a.User)
	}
	return err
}

// A forgery is a request that is sealed with the right keys, and invalid in other ways. Zero
// fields stand for the values of a valid request.
type forgery struct {
	salt     []byte
	identity []byte // replaces the identity headers
	fixed    func(length int) []byte
	variable []byte
	after    func(box *chunk.Box) []byte
}

// request seals a forgery with the keys of a client.
func (f forgery) request(t testing.TB, c *Cipher) []byte {
	t.Helper()
	salt := f.salt
	if salt == nil {
		salt = flight(t, c, "192.0.2.1:80", "x")[:c.spec.KeySize]
	}
	identity := f.identity
	if identity == nil {
		identity = make([]byte, hashSize*len(c.client.identities))
		if _, err := c.putIdentities(identity, salt); err != nil {
			t.Fatal(err)
		}
	}
	aead, err := c.spec.session(c.client.own.psk, salt)
	if err != nil {
		t.Fatal(err)
	}
	box := chunk.NewBox(aead)
	fixed := appendRequestHeader(nil, c.now(), len(f.variable))
	if f.fixed != nil {
		fixed = f.fixed(len(f.variable))
	}
	out := slices.Concat(salt, identity, box.Seal(nil, fixed), box.Seal(nil, f.variable))
	if f.after != nil {
		out = append(out, f.after(&box)...)
	}
	return out
}
