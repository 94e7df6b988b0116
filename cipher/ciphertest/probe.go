package ciphertest

import (
	"bytes"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// mostProbe is the number of bytes that a wire in memory accepts before a read.
const mostProbe = 32 << 10

// Probe sends arbitrary bytes, in two parts and with an end, to a server of c. It checks
// that the server sends nothing, keeps no buffer and, if the bytes are not a request,
// returns them unchanged. It is meant for fuzzing. If then is not nil, Probe calls it with
// the accepted stream, its payload complete, and the error that ended the stream, or with
// the error for which the bytes were refused.
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
		t.Errorf("the server sent %d bytes", len(said))
	}
	if n := netio.BuffersOut() - out; n != 0 {
		t.Errorf("%d buffers were not returned", n)
	}
}
