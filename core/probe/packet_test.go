package probe_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/probe"
	"github.com/umbra-proxy/umbra/test/peer"
)

// newPackets starts a server on addr that answers each datagram with the result of answer,
// unless it is empty.
func newPackets(t *testing.T, addr string, answer func(b []byte) []byte) string {
	t.Helper()
	socket, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4<<10)
		for {
			n, from, err := socket.ReadFrom(buf)
			if err != nil {
				return
			}
			if b := answer(bytes.Clone(buf[:n])); b != nil {
				_, _ = socket.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() {
		socket.Close()
		<-done
	})
	return socket.LocalAddr().String()
}

// echo opens a datagram with a server that has not received any datagram, and seals it
// again.
func echo(t *testing.T, b []byte) []byte {
	server, err := newCipher(t).NewPacketServer()
	if err != nil {
		return nil
	}
	o, err := server.Open(b, netip.MustParseAddrPort("127.0.0.1:1"))
	if err != nil {
		return nil
	}
	sealed, err := o.Session.AppendPacket(nil, o.Payload, o.Target)
	if err != nil {
		return nil
	}
	return sealed
}

func TestPackets(t *testing.T) {
	dns := newPackets(t, "127.0.0.1:0", func(b []byte) []byte { return b })
	for _, tc := range []struct {
		name   string
		answer func(b []byte) []byte // nil for an umbra server
		kinds  []string
		texts  []string
		note   string
	}{
		{name: "ours"},
		{
			name:   "answers recordings",
			answer: func(b []byte) []byte { return echo(t, b) },
			kinds:  []string{"data"},
			texts:  []string{"a replayed datagram was answered with "},
		},
		{
			name:   "answers all",
			answer: func(b []byte) []byte { return append(b, 1) },
			kinds:  []string{"data"},
			texts:  []string{"the server answered random datagrams (0 bytes, 1 byte, ", "the server answered a datagram with a byte changed ("},
			note:   "UDP: no replay was sent: the answer to a valid datagram can't be decrypted: ",
		},
		{
			name:   "serves no UDP",
			answer: func([]byte) []byte { return nil },
			note:   "UDP: no replay was sent: a valid datagram to " + dns + " got no answer",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var addr string
			if tc.answer == nil {
				addr = newUmbra(t, method, peer.Password)
			} else {
				c := newCipher(t)
				addr = newScripted(t, func(conn *net.TCPConn, _ int) { serveOr(conn, c) }).addr
				newPackets(t, addr, tc.answer)
			}
			cfg := smallConfig(addr, &probe.Key{Cipher: newCipher(t), Target: newTarget(t), PacketTarget: parseAddr(t, dns)})
			cfg.Packets = true
			_, res, err := run(t, cfg)
			if err != nil {
				t.Fatal(err)
			}
			checkTells(t, res, tc.kinds, tc.texts)
			if notes := strings.Join(probe.Judge(res).Notes, "\n"); !strings.Contains(notes, tc.note) || tc.note == "" && strings.Contains(notes, "UDP") {
				t.Errorf("got the notes\n%s\nwant %q", notes, tc.note)
			}
		})
	}
}

// TestNoPackets uses a method that does not support UDP.
func TestNoPackets(t *testing.T) {
	k := newKey(t)
	k.Cipher = struct{ core.Cipher }{k.Cipher}
	cfg := smallConfig("127.0.0.1:1", k)
	cfg.Packets = true
	if _, err := probe.NewPlan(cfg); err == nil || !strings.Contains(err.Error(), "aes-256-gcm does not support UDP") {
		t.Errorf("got %v", err)
	}
}
