package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
)

func TestEarlyForms(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "-_-_": "\xfb\xff\xbf", "+/+/": "\xfb\xff\xbf", "aGk": "hi", "aGk=": "hi", "a": "", "chat, superchat": "", "a b": "",
	} {
		if got := decodeEarly(value); string(got) != want || (got == nil) != (want == "") {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
	if got := encodeEarly([]byte("\xfb\xff\xbf\x00")); got != "-_-_AA" {
		t.Errorf("got %q", got)
	}
}

// wireDialer dials one wire.
type wireDialer struct {
	core.Dialer
	wire core.Stream
}

func (d wireDialer) DialStream(context.Context, *core.Request) (core.Stream, error) {
	return d.wire, nil
}

// TestEarlyData dials with a payload: it arrives whole and in order, whatever part of it the
// request carries.
func TestEarlyData(t *testing.T) {
	for _, tc := range []struct{ early, payload, carried int }{
		{0, 1000, 0}, {2048, 0, 0}, {2048, 1, 1}, {2048, 2048, 2048}, {2048, 2049, 2048}, {6000, 20_000, 6000},
	} {
		o := defaults()
		o.EarlyData = tc.early
		near, far := coretest.TCPPair(t)
		payload := coretest.Pattern(tc.payload, 1)
		coretest.Together(func() {
			d, err := dial.ToServer(wireDialer{wire: near}, core.Addr{}, "", nil, []core.Transport{newPlain(t, o)})
			if err != nil {
				t.Errorf("%+v: %v", tc, err)
				return
			}
			s, err := d.DialStream(t.Context(), &core.Request{Target: coretest.Addr(t, serverAddr), Payload: payload})
			if err != nil {
				t.Errorf("%+v: %v", tc, err)
				near.Close()
				return
			}
			coretest.Write(t, s, []byte("more"))
			coretest.Read(t, s, []byte("answer"))
			s.Close()
		}, func() {
			s, err := newPlain(t, defaults()).Server(t.Context(), far)
			if err != nil {
				t.Errorf("%+v: %v", tc, err)
				far.Close()
				return
			}
			if got := len(s.(*stream).reads.early); got != tc.carried {
				t.Errorf("%+v: the request carried %d bytes", tc, got)
			}
			if err := s.(core.Waiter).WaitRead(); err != nil {
				t.Error(err)
			}
			coretest.Read(t, s, append(bytes.Clone(payload), "more"...))
			coretest.Write(t, s, []byte("answer"))
			s.Close()
		})
	}
}

// A request that a server refuses has sent nothing of the client's; one that is not answered
// may have.
func TestEarlySent(t *testing.T) {
	for answer, sent := range map[string]bool{
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n": false, "": true, "HTTP/1.1 101 x\r\n\r\n": true,
	} {
		o := defaults()
		o.EarlyData = 100
		near, far := coretest.Pipe()
		coretest.Together(func() {
			request, err := http.ReadRequest(bufio.NewReader(far))
			if err != nil || request.Header.Get(earlyHeader) != "SGVsbG8" {
				t.Errorf("got %v, %v", request, err)
			}
			coretest.Write(t, far, []byte(answer))
			_ = far.CloseWrite()
		}, func() {
			_, n, err := newPlain(t, o).ClientEarly(t.Context(), near, coretest.Addr(t, serverAddr), []byte("Hello"))
			if err == nil || n != 0 || core.IsSent(err) != sent {
				t.Errorf("%q: got %d, %v, sent: %t, want %t", answer, n, err, core.IsSent(err), sent)
			}
			if !sent && !strings.Contains(errors.Unwrap(err).Error(), "502") {
				t.Errorf("got %v", err)
			}
		})
		near.Close()
		far.Close()
	}
}
