package ciphertest

import (
	"bytes"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// mostProbe is what a wire in memory takes before anybody reads, in bytes.
const mostProbe = 32 << 10

// Probe has a server of c read arbitrary bytes, which come in two parts and then end.
// It checks that the server says nothing, keeps no buffer and, if they are no request,
// gives them back unchanged. It is for fuzzing. then, which may be nil, gets what was
// accepted, its payload complete, with the error that ended that, or why the bytes were refused.
func Probe(t *testing.T, c core.Cipher, wire []byte, cut uint16, then func(a core.Accepted, end, refused error)) {
	t.Helper()
	if len(wire) > mostProbe {
		return
	}
	out := netio.BuffersOut()
	conn, far := coretest.Pipe()
	n := int(cut) % (len(wire) + 1)
	put(t, far, wire[:n])
	put(t, far, wire[n:])
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	a, refused := c.AcceptStream(conn, core.Caller{Addr: someone})
	var end error
	if refused != nil {
		unread, _ := io.ReadAll(conn)
		if got := append(a.Payload, unread...); !bytes.Equal(got, wire) {
			t.Errorf("%v: got %d other bytes back than the %d sent", refused, len(got), len(wire))
		}
	} else {
		if !a.Target.IsValid() {
			t.Error("accepted without a target")
		}
		a.Payload, end = rest(a)
		a.Stream.Close()
	}
	if then != nil {
		then(a, end, refused)
	}
	conn.Close()
	if said, _ := io.ReadAll(far); len(said) > 0 {
		t.Errorf("the server said %d bytes", len(said))
	}
	if n := netio.BuffersOut() - out; n != 0 {
		t.Errorf("%d buffers were not returned", n)
	}
}
