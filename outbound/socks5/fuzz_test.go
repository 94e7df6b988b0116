package socks5

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// FuzzReply has a server say anything. What is not an error leaves no byte of the stream
// read, whatever follows the reply.
func FuzzReply(f *testing.F) {
	for _, says := range []string{
		"\x05\x00" + success, "\x05\x02\x01\x00" + success, "\x05\x02\x01\x01", "\x05\xff", "\x05\x00\x05\x05\x00\x01",
		"\x05\x00\x05\x00\x00\x03\x03a.b\x00\x35", "\x05\x00\x05\x00\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb", "HTTP/1.1 200 OK\r\n\r\n", "",
	} {
		f.Add([]byte(says), byte(1))
		f.Add([]byte(says), byte(3))
	}
	target := coretest.Target
	f.Fuzz(func(t *testing.T, says []byte, cmd byte) {
		run := func(says []byte) (core.Addr, int, error) {
			c := &client{methods: []byte{0, 2}, login: &login{"alice", "pw"}, cmd: cmd, target: target}
			r := bytes.NewReader(says)
			bound, err := c.talk(&script{says: r})
			return bound, len(says) - r.Len(), err
		}
		bound, n, err := run(says)
		if err != nil {
			if bound.IsValid() {
				t.Errorf("got %v beside the error %v", bound, err)
			}
			return
		}
		if (cmd == 3) != bound.IsValid() {
			t.Errorf("command %d: got the address %v", cmd, bound)
		}
		again, m, err := run(append(says[:n:n], "payload"...))
		if again != bound || m != n || err != nil {
			t.Errorf("with other bytes behind: got %v, %d, %v, want %v, %d", again, m, err, bound, n)
		}
		if _, _, err := run(says[:n-1]); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut: got %v, want the end of the stream", err)
		}
	})
}

// FuzzAnswer has the relay send anything.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\xc0\x00\x02\x07\x00\x35hello"))
	f.Add([]byte("\x00\x00\x00\x03\x0bexample.com\x01\xbbhello"))
	f.Add([]byte("\x00\x00\x01\x01\xc0\x00\x02\x07\x00\x35hello"))
	f.Add([]byte("\x00"))
	relay := coretest.Target
	a := &association{hop: &hop{Outbound: &Outbound{}}}
	a.relay.Store(&relay)
	a.source.Store(&relay)
	f.Fuzz(func(t *testing.T, wire []byte) {
		p, err := a.answer(core.Packet{Addr: relay, Data: wire})
		if (err == nil) != p.Addr.IsValid() || len(p.Data) > len(wire) {
			t.Errorf("got %v, %v", p, err)
		}
	})
}
