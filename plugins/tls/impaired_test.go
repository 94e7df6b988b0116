package tls

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/impair"
)

// A disturbed wire changes nothing but the pace, or breaks the stream; it never
// lets through a byte that was not sent, nor an end that was not meant.
func TestImpairedWire(t *testing.T) {
	self := selfSigned(t, "example.test")
	server, client := newPlain(t, Options{Cert: self.file, Key: self.key}), newPlain(t, Options{Pin: []Pin{PinOf(self.cert)}})
	const size = 40_000
	for _, tc := range []struct {
		name string
		up   impair.Direction
		want []error // any of them; nil for an orderly end
	}{
		{"bytes", impair.Direction{Segment: 1}, []error{nil}},
		{"random segments", impair.Direction{Segment: 3000, Random: true}, []error{nil}},
		{"flipped bit in the handshake", impair.Direction{Corrupt: []int64{100}}, []error{core.ErrAuth, core.ErrMalformed}},
		{"flipped bit in a record", impair.Direction{Corrupt: []int64{size / 2}}, []error{core.ErrAuth, core.ErrMalformed}},
		{"flipped bit in the last record", impair.Direction{Corrupt: []int64{size}}, []error{core.ErrAuth, core.ErrMalformed}},
		{"cut in the handshake", impair.Direction{End: impair.Close, After: 100}, []error{core.ErrShort}},
		{"cut later", impair.Direction{End: impair.Close, After: size / 2}, []error{io.ErrUnexpectedEOF}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sent := pattern(size)
			type result struct {
				got []byte
				err error
			}
			results := make(chan result, 1)
			addr := listen(t, server, func(s core.Stream, err error) {
				var got []byte
				if err == nil {
					got, err = io.ReadAll(s)
					s.Close()
				}
				results <- result{got, err}
			})
			wire, err := net.Dial("tcp", impair.New(t, addr, impair.Options{Up: tc.up}).Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer wire.Close()
			if s, err := client.Client(t.Context(), wire.(*net.TCPConn), core.Addr{}); err == nil {
				_, _ = s.Write(sent) // fails where the wire is cut
				_ = s.CloseWrite()
			}
			r := <-results
			if !isAny(r.err, tc.want) {
				t.Errorf("got %v, want one of %v", r.err, tc.want)
			}
			if r.err == nil || len(r.got) > len(sent) {
				equal(t, "transfer", r.got, sent)
			} else {
				equal(t, "what came before the break", r.got, sent[:len(r.got)])
			}
		})
	}
}

func isAny(err error, want []error) bool {
	for _, w := range want {
		if errors.Is(err, w) {
			return true
		}
	}
	return false
}
