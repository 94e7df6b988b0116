package aead_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
)

// someone is the client of accepted connections.
var someone = netip.MustParseAddrPort("192.0.2.7:4711")

// tcpPair returns both ends of a connection over loopback.
func tcpPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	return coretest.LoopbackPair(t)
}

// negative is one malformed stream of testdata/negative.json.
type negative struct {
	Name, Method string
	Stream       ciphertest.Hex
	Expect       string
	Why          string
}

// outcomes maps each `expect` of a stream to a check.
var outcomes = map[string]func(*testing.T, *aead.Cipher, core.Stream, negative){
	"accept": func(t *testing.T, c *aead.Cipher, wire core.Stream, n negative) {
		a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
		if err != nil {
			t.Fatal(err)
		}
		a.Stream.Close()
	},
	"reject-target": func(t *testing.T, c *aead.Cipher, wire core.Stream, n negative) {
		a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
		if err != nil || a.Target.Port() != 0 {
			t.Fatalf("got %s, %v, want a target that can't be dialled", a.Target, err)
		}
		defer a.Stream.Close()
		if _, err := (dial.Net{}).DialStream(t.Context(), &core.Request{Target: a.Target}); err == nil {
			t.Error("port 0 was dialled")
		}
	},
	"reject-stream": func(t *testing.T, c *aead.Cipher, wire core.Stream, n negative) {
		a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Stream.Close()
		want := core.ErrAuth
		if strings.Contains(n.Name, "zero length") {
			want = core.ErrMalformed
		}
		if got, err := io.ReadAll(a.Stream); len(got) > 0 || !errors.Is(err, want) {
			t.Errorf("got %d bytes, %v, want none and %v", len(got), err, want)
		}
	},
	"reject-auth":   refused(core.ErrAuth, false),
	"reject-header": refused(core.ErrMalformed, true),
	"wait-timeout": func(t *testing.T, c *aead.Cipher, wire core.Stream, n negative) {
		if err := wire.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		refused(core.ErrShort, false)(t, c, wire, n)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("judged after %s, want the deadline", took)
		}
	},
}

// refused is the outcome of an invalid request.
func refused(want error, authenticated bool) func(*testing.T, *aead.Cipher, core.Stream, negative) {
	return func(t *testing.T, c *aead.Cipher, wire core.Stream, n negative) {
		a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
		if !errors.Is(err, want) || core.IsAuthenticated(err) != authenticated {
			t.Errorf("got %v, authenticated %t, want %v, %t", err, core.IsAuthenticated(err), want, authenticated)
		}
		if !bytes.Equal(a.Payload, n.Stream) {
			t.Errorf("got payload %x, want %x", a.Payload, n.Stream)
		}
	}
}

func TestNegativeVectors(t *testing.T) {
	var f struct{ TCP []negative }
	ciphertest.ReadJSON(t, "negative.json", &f)
	ran := 0
	for _, n := range f.TCP {
		outcome := outcomes[n.Expect]
		if outcome == nil {
			t.Fatalf("%s: unknown outcome %q", n.Name, n.Expect)
		}
		ran++
		t.Run(n.Method+", "+n.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wire, far := coretest.Pipe()
				defer far.Close()
				defer wire.Close()
				if _, err := far.Write(n.Stream); err != nil {
					t.Fatal(err)
				}
				outcome(t, newCipher(t, spec(t, n.Method)), wire, n)
				if err := far.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				if got, err := far.Read(make([]byte, 1)); got != 0 || n.Expect == "wait-timeout" && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the client got %d bytes, %v, want silence", got, err)
				}
			})
		})
	}
	if ran == 0 {
		t.Fatal("negative.json has no streams")
	}
}
