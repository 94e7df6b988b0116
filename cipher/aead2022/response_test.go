package aead2022

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/core"
)

// answers returns the result of a client of c that reads a response with the given header,
// sealed with the right key, and a payload of 5 bytes.
func answers(t *testing.T, c *Cipher, requestSalt []byte, header []byte) ([]byte, error) {
	t.Helper()
	salt := bytes.Repeat([]byte{9}, c.spec.KeySize)
	aead, err := c.spec.session(c.client.own.psk, salt)
	if err != nil {
		t.Fatal(err)
	}
	box := chunk.NewBox(aead)
	wire := append(salt, box.Seal(nil, header)...)
	wire = append(wire, box.Seal(nil, []byte("hello"))...)
	s := chunk.NewStream(&tape{reads: wire}, c.readResponse(requestSalt))
	defer s.Close()
	return io.ReadAll(s)
}

// TestResponse checks each field of a response. No byte of an invalid response reaches the
// application.
func TestResponse(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		c := fresh(t, s.spec, s.keys)
		at(c, noon)
		salt := bytes.Repeat([]byte{1}, s.spec.KeySize)
		other := bytes.Repeat([]byte{2}, s.spec.KeySize)
		header := func(when time.Time, salt []byte, length int) []byte {
			return appendResponseHeader(nil, when, salt, length)
		}
		asRequest := header(noon, salt, 5)
		asRequest[0] = typeClient
		for _, tc := range []struct {
			name   string
			header []byte
			err    error
		}{
			{"good", header(noon, salt, 5), nil},
			{"30 s ahead", header(noon.Add(30*time.Second), salt, 5), nil},
			{"30 s behind", header(noon.Add(-30*time.Second), salt, 5), nil},
			{"31 s ahead", header(noon.Add(31*time.Second), salt, 5), core.ErrClock},
			{"31 s behind", header(noon.Add(-31*time.Second), salt, 5), core.ErrClock},
			{"to another request", header(noon, other, 5), core.ErrAuth},
			{"type of a request", asRequest, core.ErrMalformed},
			{"no payload", header(noon, salt, 0), core.ErrMalformed},
		} {
			t.Run(tc.name, func(t *testing.T) {
				got, err := answers(t, c, salt, tc.header)
				if !errors.Is(err, tc.err) || (err == nil) != (string(got) == "hello") || err != nil && len(got) > 0 {
					t.Errorf("got %q, %v, want %v", got, err, tc.err)
				}
				if got, want := core.IsAuthenticated(err), err != nil && tc.err != core.ErrAuth; got != want {
					t.Errorf("got %v, authenticated %t, want %t", err, got, want)
				}
			})
		}
	})
}

// TestResponseOfAnother lets a client read the response of a server with another key, or for
// another user.
func TestResponseOfAnother(t *testing.T) {
	s := specOf(t, aes128)
	client := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 1)}})
	for name, server := range map[string]*Cipher{
		"identity key": fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}}),
		"other user":   fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 2)}}),
	} {
		salt := bytes.Repeat([]byte{1}, s.KeySize)
		wire := &tape{}
		reply := chunk.NewStream(wire, nil)
		if err := server.startReply(reply, server.sole, bytes.Clone(salt), salt); err != nil {
			t.Fatal(err)
		}
		if _, err := reply.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		r := chunk.NewStream(&tape{reads: wire.all()}, client.readResponse(salt))
		if got, err := io.ReadAll(r); len(got) > 0 || !errors.Is(err, core.ErrAuth) || core.IsAuthenticated(err) {
			t.Errorf("%s: got %q, %v, want core.ErrAuth", name, got, err)
		}
		r.Close()
	}
}

// TestSilentTarget closes an accepted stream before a write: the server must send nothing.
func TestSilentTarget(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		c := fresh(t, s.spec, s.keys)
		wire := &tape{reads: flight(t, c, "192.0.2.1:80", "x")}
		a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Stream.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		a.Stream.Close()
		if len(wire.wrote) > 0 {
			t.Errorf("got %x, want nothing", wire.all())
		}
	})
}
