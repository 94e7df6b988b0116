package aead_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// packetVector is a datagram of testdata/aead_udp.json.
type packetVector struct {
	Name, Method string
	Address      ciphertest.Hex
	Payload      ciphertest.Hex
	Packet       ciphertest.Hex
}

func packetVectors(t testing.TB) []packetVector {
	t.Helper()
	return ciphertest.ReadVectors[packetVector](t, "aead_udp.json")
}

func packetPair(t testing.TB, s aead.Spec) (core.PacketClient, core.PacketServer) {
	t.Helper()
	return ciphertest.PacketPair(t, newCipher(t, s))
}

// The stored datagrams open as requests and as replies, which have the same format.
func TestPacketVectors(t *testing.T) {
	for _, v := range packetVectors(t) {
		t.Run(v.Method+" "+v.Name, func(t *testing.T) {
			want, n, err := socksaddr.Decode(v.Address)
			if err != nil || n != len(v.Address) {
				t.Fatalf("address: got %d bytes, %v", n, err)
			}
			client, server := packetPair(t, spec(t, v.Method))
			o, err := server.Open(bytes.Clone(v.Packet), netip.AddrPort{})
			if err != nil || o.Target != want || !bytes.Equal(o.Payload, v.Payload) {
				t.Errorf("request: got %x for %s, %v, want %x for %s", o.Payload, o.Target, err, v.Payload, want)
			}
			payload, source, err := client.OpenPacket(bytes.Clone(v.Packet))
			if err != nil || source != want || !bytes.Equal(payload, v.Payload) {
				t.Errorf("reply: got %x from %s, %v, want %x from %s", payload, source, err, v.Payload, want)
			}
			if got := len(v.Payload) + client.Overhead(want); got != len(v.Packet) {
				t.Errorf("size: got %d, want %d", got, len(v.Packet))
			}
		})
	}
}

// An authentic datagram with invalid contents is a mistake of a client that has the key.
func TestPacketMalformed(t *testing.T) {
	client, server := packetPair(t, spec(t, "aes-128-gcm"))
	for _, tc := range []struct {
		name  string
		plain []byte
	}{
		{"nothing", nil},
		{"address cut off", []byte{1, 192, 0, 2}},
		{"name cut off", []byte{3, 200, 'a'}},
		{"unknown type", []byte{2, 0, 0, 0, 0, 0, 0}},
		{"flag in the type", []byte{0x11, 192, 0, 2, 1, 0, 80}},
		{"bad name", []byte{3, 2, 'a', ' ', 0, 80}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wire := forge(t, "aes-128-gcm", tc.plain)
			o, err := server.Open(bytes.Clone(wire), netip.AddrPort{})
			if !errors.Is(err, core.ErrMalformed) || !core.IsAuthenticated(err) || o.Session != nil {
				t.Errorf("request: got %+v, %v, want an authenticated core.ErrMalformed", o, err)
			}
			if _, _, err := client.OpenPacket(wire); !errors.Is(err, core.ErrMalformed) {
				t.Errorf("reply: got %v, want core.ErrMalformed", err)
			}
		})
	}
}

// FuzzPacket lets a server and a client open arbitrary bytes, and those bytes sealed with
// the right key.
func FuzzPacket(f *testing.F) {
	for _, v := range packetVectors(f) {
		if v.Method == "aes-256-gcm" {
			f.Add([]byte(v.Packet))
			f.Add(append(bytes.Clone(v.Address), v.Payload...))
		}
	}
	f.Add([]byte{3, 1, 'a', 0, 53, 'x'})
	client, server := packetPair(f, spec(f, "aes-256-gcm"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > core.MaxDatagram {
			return
		}
		_, _ = server.Open(bytes.Clone(b), netip.AddrPort{}) // must not panic
		_, _, _ = client.OpenPacket(bytes.Clone(b))
		addr, n, wrong := socksaddr.Decode(b)
		o, err := server.Open(forge(t, "aes-256-gcm", b), netip.AddrPort{})
		if (err == nil) != (wrong == nil && addr.Port() != 0) {
			t.Fatalf("plaintext %x: got %v, the address says %v", b, err, wrong)
		}
		if err == nil && (o.Target != addr || !bytes.Equal(o.Payload, b[n:])) {
			t.Errorf("plaintext %x: got %x for %s, want %x for %s", b, o.Payload, o.Target, b[n:], addr)
		}
	})
}
