package socks

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

const (
	granted  = "\x00\x5a\x00\x00\x00\x00\x00\x00"
	rejected = "\x00\x5b\x00\x00\x00\x00\x00\x00"
)

func TestFour(t *testing.T) {
	users, err := inbound.NewUsers(map[string]option.Text{"bob": "secret"})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." + strings.Repeat("d", 61)
	for _, tc := range []struct {
		name, in string
		mode     option.Mode
		users    inbound.Users
		want     outcome
	}{
		{"ipv4", "\x04\x01\x00\x50\xc0\x00\x02\x07\x00", "both", nil, outcome{target: "192.0.2.7:80", wrote: granted}},
		{"user and payload", "\x04\x01\x00\x50\xc0\x00\x02\x07bob\x00GET /", "tcp", nil, outcome{target: "192.0.2.7:80", rest: "GET /", wrote: granted}},
		{"4a", "\x04\x01\x01\xbb\x00\x00\x00\x01bob\x00example.com\x00hi", "both", nil, outcome{target: "example.com:443", rest: "hi", wrote: granted}},
		{"4a, the longest", "\x04\x01\x01\xbb\x00\x00\x00\xff" + strings.Repeat("u", 255) + "\x00" + long + "\x00", "both", nil, outcome{target: long + ":443", wrote: granted}},
		{"4a, an address as name", "\x04\x01\x01\xbb\x00\x00\x00\x01\x002001:db8::1\x00", "both", nil, outcome{target: "[2001:db8::1]:443", wrote: granted}},
		{"4a, UTF-8", "\x04\x01\x00\x50\x00\x00\x00\x01\x00m\xc3\xbcnchen.test\x00", "both", nil, outcome{target: "xn--mnchen-3ya.test:80", wrote: granted}},
		{"0.0.0.0 is an address", "\x04\x01\x00\x50\x00\x00\x00\x00\x00hello", "both", nil, outcome{target: "0.0.0.0:80", rest: "hello", wrote: granted}},

		{"4a, no name", "\x04\x01\x00\x50\x00\x00\x00\x01\x00\x00", "both", nil, outcome{wrote: rejected, err: core.ErrMalformed}},
		{"4a, bad name", "\x04\x01\x00\x50\x00\x00\x00\x01\x00a b\x00", "both", nil, outcome{wrote: rejected, err: core.ErrMalformed}},
		{"4a, long name", "\x04\x01\x00\x50\x00\x00\x00\x01\x00" + strings.Repeat("a", 256), "both", nil, outcome{wrote: rejected, err: core.ErrMalformed}},
		{"long user", "\x04\x01\x00\x50\xc0\x00\x02\x07" + strings.Repeat("u", 256), "both", nil, outcome{wrote: rejected, err: core.ErrMalformed}},
		{"port 0", "\x04\x01\x00\x00\xc0\x00\x02\x07\x00", "both", nil, outcome{wrote: rejected, err: core.ErrMalformed}},
		{"BIND", "\x04\x02\x00\x50\xc0\x00\x02\x07\x00", "both", nil, outcome{wrote: rejected, err: core.ErrDenied}},
		{"UDP alone", "\x04\x01\x00\x50\xc0\x00\x02\x07\x00", "udp", nil, outcome{wrote: rejected, err: core.ErrDenied}},
		{"with users", "\x04\x01\x00\x50\xc0\x00\x02\x07bob\x00", "both", users, outcome{wrote: rejected, err: core.ErrDenied}},
		{"version 5", "\x05\x01\x00", "both", nil, outcome{wrote: rejected, err: core.ErrMalformed}},
		{"cut", "\x04\x01\x00\x50\xc0\x00\x02\x07bo", "both", nil, outcome{err: core.ErrShort}},
		{"cut in the name", "\x04\x01\x00\x50\x00\x00\x00\x01\x00exam", "both", nil, outcome{err: core.ErrShort}},
	} {
		for how, reads := range map[string][][]byte{"at once": whole([]byte(tc.in)), "byte by byte": bytewise([]byte(tc.in))} {
			got := serve(t, NewFour(tc.users, tc.mode), &script{reads: reads})
			if !errors.Is(got.err, tc.want.err) || (got.err == nil) != (tc.want.err == nil) {
				t.Errorf("%s, %s: got error %v, want %v", tc.name, how, got.err, tc.want.err)
			}
			want := tc.want
			got.err, want.err, got.payload = nil, nil, ""
			if got != want {
				t.Errorf("%s, %s: got %+v, want %+v", tc.name, how, got, want)
			}
		}
	}
}

// FuzzFour feeds the same bytes in one piece, one by one, and split at random. What comes of
// it must be the same, and no byte may be lost.
func FuzzFour(f *testing.F) {
	for _, in := range []string{
		"\x04\x01\x00\x50\xc0\x00\x02\x07\x00payload", "\x04\x01\x01\xbb\x00\x00\x00\x01bob\x00example.com\x00hi",
		"\x04\x02\x00\x50\xc0\x00\x02\x07\x00", "\x04\x01\x00\x50\x00\x00\x00\x01\x00\x00", "\x05", "",
	} {
		f.Add([]byte(in), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		h := NewFour(nil, "both")
		least := serve(t, h, &script{reads: bytewise(in)})
		if least.err == nil && !bytes.HasSuffix(in, []byte(least.rest)) {
			t.Errorf("got rest %q, want the end of %q", least.rest, in)
		}
		if least.err != nil && !errors.Is(least.err, core.ErrShort) && !errors.Is(least.err, core.ErrMalformed) && !errors.Is(least.err, core.ErrDenied) {
			t.Errorf("got %v, want a sentinel of core", least.err)
		}
		same(t, "at once", serve(t, h, &script{reads: whole(in)}), least)
		same(t, "split", serve(t, h, &script{reads: split(in, seed)}), least)
	})
}
