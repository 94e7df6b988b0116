package aead2022

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// streamVector is a stream of testdata/ss2022_tcp.json.
type streamVector struct {
	Name, Method, Password string
	Timestamp              int64
	Request                struct {
		Salt       ciphertest.Hex
		Subkey     ciphertest.Hex   `json:"session_subkey"`
		Identities ciphertest.Hex   `json:"identity_headers"`
		Fixed      ciphertest.Hex   `json:"fixed_header_pt"`
		Length     int              `json:"variable_header_len"`
		Later      []ciphertest.Hex `json:"later_chunks"`
		Address    ciphertest.Hex
		Padding    ciphertest.Hex
		Payload    ciphertest.Hex
		Stream     ciphertest.Hex
	}
	Response struct {
		Salt      ciphertest.Hex
		Timestamp int64
		Subkey    ciphertest.Hex `json:"session_subkey"`
		Fixed     ciphertest.Hex `json:"fixed_header_pt"`
		Chunks    []ciphertest.Hex
		Stream    ciphertest.Hex
	}
}

func streamVectors(t testing.TB) []streamVector {
	t.Helper()
	return ciphertest.ReadVectors[streamVector](t, "ss2022_tcp.json")
}

// cipher returns the cipher of the vector, at the time of its request.
func (v streamVector) cipher(t testing.TB) *Cipher {
	t.Helper()
	c := of(t, v.Method, v.Password)
	at(c, time.Unix(v.Timestamp, 0))
	return c
}

// terminal returns the keys of the server at the end of a chain of identities, and the request
// as it arrives there: each server before it has removed its identity header.
func (v streamVector) terminal(t testing.TB) (*Cipher, []byte) {
	t.Helper()
	c, stream := v.cipher(t), []byte(v.Request.Stream)
	if n := len(c.client.identities); n > 1 {
		s := c.spec
		last := c.client.identities[n-1].ipsk
		stream = slices.Concat(stream[:s.KeySize], stream[s.KeySize+hashSize*(n-1):])
		c = fresh(t, s, Keys{PSKs: [][]byte{last, c.client.own.psk}})
		at(c, time.Unix(v.Timestamp, 0))
	}
	return c, stream
}

// TestRequestVectors builds each stored request.
func TestRequestVectors(t *testing.T) {
	for _, v := range streamVectors(t) {
		t.Run(v.Method+", "+v.Name, func(t *testing.T) {
			c, r := v.cipher(t), v.Request
			if got := sessionSubkey(c.client.own.psk, r.Salt); !bytes.Equal(got, r.Subkey) {
				t.Fatalf("got subkey %x, want %x", got, r.Subkey)
			}
			target, _, err := socksaddr.Decode(r.Address)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 4000)
			copy(b, r.Salt)
			box, n, rest, err := c.putRequest(b, target, r.Padding, r.Payload)
			if err != nil || len(rest) > 0 {
				t.Fatalf("got %d bytes left, %v", len(rest), err)
			}
			got := b[:n]
			if ids := got[len(r.Salt):][:len(r.Identities)]; !bytes.Equal(ids, r.Identities) {
				t.Errorf("got identity headers %x, want %x", ids, r.Identities)
			}
			if fixed := appendRequestHeader(nil, c.now(), r.Length); !bytes.Equal(fixed, r.Fixed) {
				t.Errorf("got fixed header %x, want %x", fixed, r.Fixed)
			}
			for _, p := range r.Later {
				got = append(got, make([]byte, chunkHead+len(p)+tagSize)...)
				n = box.SealChunk(got, n, p)
			}
			if !bytes.Equal(got, r.Stream) {
				t.Errorf("got %x, want %x", got, r.Stream)
			}
		})
	}
}

// TestAcceptVectors lets a server accept each stored request and send the stored answer.
func TestAcceptVectors(t *testing.T) {
	for _, v := range streamVectors(t) {
		t.Run(v.Method+", "+v.Name, func(t *testing.T) {
			c, stream := v.terminal(t)
			want, _, err := socksaddr.Decode(v.Request.Address)
			if err != nil {
				t.Fatal(err)
			}
			a, plain := accepts(t, c, stream)
			sent := bytes.Clone(v.Request.Payload)
			for _, p := range v.Request.Later {
				sent = append(sent, p...)
			}
			if a.Target != want || !bytes.Equal(plain, sent) || a.User != "" {
				t.Errorf("got %x for %s, user %q, want %x for %s", plain, a.Target, a.User, sent, want)
			}
			if err := refused(t, c, stream); err != core.ErrReplay {
				t.Errorf("again: got %v, want core.ErrReplay", err)
			}

			at(c, time.Unix(v.Response.Timestamp, 0))
			wire := &tape{}
			s := chunk.NewStream(wire, nil)
			if err := c.startReply(s, c.sole, v.Response.Salt, v.Request.Salt); err != nil {
				t.Fatal(err)
			}
			for _, p := range v.Response.Chunks {
				if _, err := s.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			if got := wire.all(); !bytes.Equal(got, v.Response.Stream) {
				t.Errorf("response: got %x, want %x", got, v.Response.Stream)
			}
		})
	}
}

// TestResponseVectors lets a client read each stored response.
func TestResponseVectors(t *testing.T) {
	for _, v := range streamVectors(t) {
		t.Run(v.Method+", "+v.Name, func(t *testing.T) {
			c := v.cipher(t)
			if got := sessionSubkey(c.client.own.psk, v.Response.Salt); !bytes.Equal(got, v.Response.Subkey) {
				t.Fatalf("got subkey %x, want %x", got, v.Response.Subkey)
			}
			s := chunk.NewStream(&tape{reads: v.Response.Stream}, c.readResponse(v.Request.Salt))
			defer s.Close()
			got, err := io.ReadAll(s)
			want := []byte(nil)
			for _, p := range v.Response.Chunks {
				want = append(want, p...)
			}
			if !bytes.Equal(got, want) || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}
