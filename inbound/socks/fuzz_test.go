package socks

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// FuzzHandshake feeds the same bytes in one piece, one by one, and split at
// random. What comes of it must be the same, and no byte may be lost.
func FuzzHandshake(f *testing.F) {
	for _, in := range []string{
		hello + toIPv4,
		hello + toName + "payload",
		helloLogin + loginBob + toName + "payload",
		helloLogin + "\x01\x03bob\x05wrong",
		hello + "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00" + "rest",
		hello + "\x05\x01\x00\x03\x05[::1]\x00\x50",
		hello + "\x05\x02\x00\x01\xc0\x00\x02\x07\x00\x50",
		hello + "\x05\x01\x00\x11",
		hello + "\x05\xf0\x00\x03\x01a\x00\x00",
		hello + "\x05\xf1\x00\x01\xc0\x00\x02\x07\x00\x00",
		"\x05\x00",
		"GET / HTTP/1.1\r\n\r\n",
		"",
	} {
		f.Add([]byte(in), true, uint64(1))
		f.Add([]byte(in), false, uint64(2))
	}
	f.Fuzz(func(t *testing.T, in []byte, login bool, seed uint64) {
		h := new(handshaker)
		if login {
			h = handshakerFor(t, map[string]option.Text{"bob": "secret"})
		}
		least := serve(t, h, &script{reads: bytewise(in)})
		if least.payload != "" {
			t.Errorf("byte by byte: got payload %q, want no byte read ahead", least.payload)
		}
		if least.err == nil && !bytes.HasSuffix(in, []byte(least.rest)) {
			t.Errorf("got rest %q, want the end of %q", least.rest, in)
		}
		if least.err != nil && !errors.Is(least.err, core.ErrShort) && !errors.Is(least.err, core.ErrMalformed) &&
			!errors.Is(least.err, core.ErrAuth) && !errors.Is(least.err, core.ErrDenied) {
			t.Errorf("got %v, want a sentinel of core", least.err)
		}
		same(t, "at once", serve(t, h, &script{reads: whole(in)}), least)
		same(t, "split", serve(t, h, &script{reads: split(in, seed)}), least)
	})
}

// split cuts b into pieces of 1 to 64 bytes.
func split(b []byte, seed uint64) [][]byte {
	r := rand.New(rand.NewPCG(seed, 0))
	var reads [][]byte
	for len(b) > 0 {
		n := min(len(b), 1+r.IntN(64))
		reads, b = append(reads, b[:n]), b[n:]
	}
	return reads
}

func same(t *testing.T, how string, got, want outcome) {
	t.Helper()
	if (got.err == nil) != (want.err == nil) || got.err != nil && got.err.Error() != want.err.Error() {
		t.Errorf("%s: got error %v, byte by byte %v", how, got.err, want.err)
	}
	got.err, want.err, got.payload = nil, nil, ""
	if got != want {
		t.Errorf("%s: got %+v, byte by byte %+v", how, got, want)
	}
}
