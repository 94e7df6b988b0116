package stream_test

import (
	"bytes"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// vector is a stream of testdata/legacy_stream.json. A datagram has the same format.
type vector struct {
	Name, Method string
	Password     string
	Key          ciphertest.Hex
	IV           ciphertest.Hex
	Plaintext    ciphertest.Hex
	Stream       ciphertest.Hex
}

func vectors(t testing.TB) []vector {
	t.Helper()
	return ciphertest.ReadVectors[vector](t, "legacy_stream.json")
}

// spec returns the Spec of a method.
func spec(t testing.TB, method string) stream.Spec {
	t.Helper()
	all := stream.Specs()
	i := slices.IndexFunc(all, func(s stream.Spec) bool { return s.Method == method })
	if i < 0 {
		t.Fatalf("no method %s", method)
	}
	return all[i]
}

// someone is the client of accepted connections.
var someone = netip.MustParseAddrPort("192.0.2.7:4711")

// encrypted returns an IV followed by plain, encrypted as a stream or datagram of a method.
func encrypted(t testing.TB, s stream.Spec, iv, plain []byte) []byte {
	t.Helper()
	if s.New == nil {
		return bytes.Clone(plain)
	}
	start, err := s.New(keyOf(s))
	if err != nil {
		t.Fatal(err)
	}
	c, err := start(iv, stream.Encrypt)
	if err != nil {
		t.Fatal(err)
	}
	wire := append(bytes.Clone(iv), plain...)
	c.XORKeyStream(wire[len(iv):], plain)
	return wire
}

// accepted lets a server accept wire, in two parts, and returns the result.
func accepted(t testing.TB, s stream.Spec, wire []byte, cut int) (core.Addr, []byte, error) {
	t.Helper()
	conn, far := coretest.LoopbackPair(t)
	_ = conn.SetNoDelay(true)
	for _, part := range [][]byte{wire[:cut], wire[cut:]} {
		if _, err := far.Write(part); err != nil { // it fits the socket's buffer
			t.Fatal(err)
		}
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	a, err := newCipher(t, s).AcceptStream(conn, core.Caller{Addr: someone})
	if err != nil {
		return a.Target, a.Payload, err
	}
	defer a.Stream.Close()
	got := bytes.Clone(a.Payload)
	rest, err := io.ReadAll(a.Stream)
	return a.Target, append(got, rest...), err
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Method+", "+v.Name, func(t *testing.T) {
			s := spec(t, v.Method)
			if got := keyOf(s); v.Password != password || !bytes.Equal(got, v.Key) {
				t.Errorf("got key %x, want %x", got, v.Key)
			}
			if got := encrypted(t, s, v.IV, v.Plaintext); !bytes.Equal(got, v.Stream) {
				t.Fatalf("got %x, want %x", got, v.Stream)
			}
			want, n, err := socksaddr.Decode(v.Plaintext)
			if err != nil {
				t.Fatal(err)
			}
			for _, cut := range []int{0, 1, len(v.IV), len(v.IV) + n, len(v.IV) + n + 1} {
				target, payload, err := accepted(t, s, v.Stream, cut)
				if target != want || !bytes.Equal(payload, v.Plaintext[n:]) || err != nil {
					t.Errorf("cut at %d: got %s, %x, %v, want %s, %x", cut, target, payload, err, want, v.Plaintext[n:])
				}
			}
			client, server := packetPair(t, s)
			o, err := server.Open(bytes.Clone(v.Stream), someone)
			if err != nil || o.Target != want || !bytes.Equal(o.Payload, v.Plaintext[n:]) {
				t.Errorf("datagram: got %s, %x, %v, want %s, %x", o.Target, o.Payload, err, want, v.Plaintext[n:])
			}
			payload, source, err := client.OpenPacket(bytes.Clone(v.Stream))
			if err != nil || source != want || !bytes.Equal(payload, v.Plaintext[n:]) {
				t.Errorf("reply: got %s, %x, %v, want %s, %x", source, payload, err, want, v.Plaintext[n:])
			}
		})
	}
}
