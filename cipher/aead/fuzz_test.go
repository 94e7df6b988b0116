package aead_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// FuzzAccept has a server read arbitrary bytes. It must give them back
// unchanged if they are no request, say nothing, and never panic.
func FuzzAccept(f *testing.F) {
	for _, v := range streamVectors(f) {
		if v.Method == "aes-256-gcm" && v.Stream != nil {
			f.Add([]byte(v.Stream), uint16(3))
		}
	}
	var n struct{ TCP []negative }
	readJSON(f, "negative.json", &n)
	for _, v := range n.TCP {
		if v.Method == "aes-256-gcm" {
			f.Add([]byte(v.Stream), uint16(len(v.Stream)))
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n0123456789abcdef"), uint16(0))
	s := spec(f, "aes-256-gcm")
	f.Fuzz(func(t *testing.T, wire []byte, cut uint16) {
		if len(wire) > 32<<10 { // what the pipe takes before anybody reads
			return
		}
		out := core.BuffersOut()
		conn, far := coretest.Pipe()
		n := int(cut) % (len(wire) + 1)
		for _, part := range [][]byte{wire[:n], wire[n:]} {
			if _, err := far.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := far.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		a, err := newCipher(t, s).AcceptStream(conn, core.Caller{Addr: someone})
		if err != nil {
			rest, _ := io.ReadAll(conn)
			if got := append(a.Payload, rest...); !bytes.Equal(got, wire) {
				t.Errorf("%v: got %d other bytes back than the %d sent", err, len(got), len(wire))
			}
		} else {
			if !a.Target.IsValid() {
				t.Error("accepted without a target")
			}
			_, _ = io.Copy(io.Discard, a.Stream) // what comes is for other tests
			a.Stream.Close()
		}
		conn.Close()
		if said, _ := io.ReadAll(far); len(said) > 0 {
			t.Errorf("the server said %d bytes", len(said))
		}
		if n := core.BuffersOut() - out; n != 0 {
			t.Errorf("%d buffers were not returned", n)
		}
	})
}
