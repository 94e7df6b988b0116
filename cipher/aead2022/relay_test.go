package aead2022

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// next returns a server whose first key has the number n.
func next(s Spec, name string, n int) core.NextServer {
	return core.NextServer{Name: name, Key: encoded(psk(s, n))}
}

// relayOf returns a relay whose key has the number own.
func relayOf(t testing.TB, s Spec, own int, servers ...core.NextServer) core.IdentityRelay {
	t.Helper()
	r, err := fresh(t, s, Keys{PSKs: [][]byte{psk(s, own)}}).NewRelay(servers)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// passes lets a relay read a flight, and returns the forwarded flight.
func passes(t testing.TB, r core.IdentityRelay, flight []byte) (to int, out []byte, err error) {
	t.Helper()
	conn, far := coretest.Pipe()
	defer conn.Close()
	defer far.Close()
	if _, err := far.Write(flight); err != nil {
		t.Fatal(err)
	}
	_ = far.CloseWrite()
	to, out, err = r.AcceptFlight(conn, core.Caller{Addr: someone})
	rest, _ := io.ReadAll(conn)
	return to, append(out, rest...), err
}

func identitySpecs() (all []Spec) {
	for _, s := range Specs() {
		if s.Block != nil {
			all = append(all, s)
		}
	}
	return all
}

// TestRelay forwards requests and datagrams through one relay and two, to servers with and
// without users: each server accepts them like those of a direct client, and the client opens
// the answers.
func TestRelay(t *testing.T) {
	for _, s := range identitySpecs() {
		t.Run(s.Method, func(t *testing.T) {
			outer := relayOf(t, s, 1, next(s, "sole", 5), next(s, "inner", 2))
			inner := relayOf(t, s, 2, next(s, "users", 3))
			sole := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 5)}})
			many := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 3)}, Users: []User{{Name: "bob", PSK: psk(s, 6)}, {Name: "alice", PSK: psk(s, 4)}}})
			for _, tc := range []struct {
				name   string
				keys   []int
				relays []core.IdentityRelay
				to     []int
				server *Cipher
				user   string
			}{
				{"one relay, one key", []int{1, 5}, []core.IdentityRelay{outer}, []int{0}, sole, ""},
				{"two relays, users", []int{1, 2, 3, 4}, []core.IdentityRelay{outer, inner}, []int{1, 0}, many, "alice"},
				{"inner relay, users", []int{2, 3, 6}, []core.IdentityRelay{inner}, []int{0}, many, "bob"},
			} {
				var k Keys
				for _, n := range tc.keys {
					k.PSKs = append(k.PSKs, psk(s, n))
				}
				client := fresh(t, s, k)
				for _, payload := range []string{"", "hello", strings.Repeat("x", 40_000)} {
					b := flight(t, client, "192.0.2.1:80", payload)
					for i, r := range tc.relays {
						to, out, err := passes(t, r, b)
						if err != nil || to != tc.to[i] || len(out) != len(b)-hashSize {
							t.Fatalf("%s, relay %d: got server %d, %d bytes of %d, %v", tc.name, i, to, len(out), len(b), err)
						}
						b = out
					}
					if a, got := accepts(t, tc.server, b); a.User != tc.user || string(got) != payload {
						t.Errorf("%s: got user %q, %d bytes, want %q, %d", tc.name, a.User, len(got), tc.user, len(payload))
					}
				}
				p := clientOf(t, client)
				wire := sealed(t, p, "question")
				for i, r := range tc.relays {
					to, out, err := r.OpenPacket(wire)
					if err != nil || to != tc.to[i] || len(out) != len(wire)-hashSize {
						t.Fatalf("%s, datagram at relay %d: got server %d, %d bytes of %d, %v", tc.name, i, to, len(out), len(wire), err)
					}
					wire = out
				}
				o := opens(t, serverOf(t, tc.server), wire)
				if o.Session.User() != tc.user || string(o.Payload) != "question" {
					t.Errorf("%s, datagram: got user %q, %q", tc.name, o.Session.User(), o.Payload)
				}
				answer, err := o.Session.AppendPacket(nil, []byte("answer"), addr(t, "192.0.2.1:80"))
				if err != nil {
					t.Fatal(err)
				}
				if got, _, err := p.OpenPacket(answer); err != nil || string(got) != "answer" {
					t.Errorf("%s: the client got %q, %v, want the answer", tc.name, got, err)
				}
			}
		})
	}
}

// TestRelayRefuses sends a relay flights of unknown servers: it returns every byte unchanged,
// and drops datagrams.
func TestRelayRefuses(t *testing.T) {
	for _, s := range identitySpecs() {
		r := relayOf(t, s, 1, next(s, "tokyo", 2))
		client := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 1), psk(s, 2)}})
		good := flight(t, client, "192.0.2.1:80", "hello")
		least := s.KeySize + hashSize + requestHeaderSize + tagSize
		bad := map[string][]byte{
			"noise":         bytes.Repeat([]byte{7}, 300),
			"other server":  flight(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 1), psk(s, 3)}}), "192.0.2.1:80", "x"),
			"other relay":   flight(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 3), psk(s, 2)}}), "192.0.2.1:80", "x"),
			"no identities": flight(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 2)}}), "192.0.2.1:80", "x"),
			"own key":       flight(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 1)}}), "192.0.2.1:80", "x"),
		}
		for i := range s.KeySize + hashSize {
			b := bytes.Clone(good)
			b[i] ^= 0x80
			bad["changed "+string(rune('0'+i%10))] = b
		}
		for name, b := range bad {
			if _, out, err := passes(t, r, b); !errors.Is(err, core.ErrAuth) || !bytes.Equal(out, b) {
				t.Errorf("%s: got %d other bytes or %v, want core.ErrAuth", name, len(out), err)
			}
		}
		for n := range least {
			if _, out, err := passes(t, r, good[:n]); n > 0 && !errors.Is(err, core.ErrShort) || n == 0 && err != io.EOF || !bytes.Equal(out, good[:n]) {
				t.Errorf("cut at %d: got %d bytes, %v, want core.ErrShort", n, len(out), err)
			}
		}
		wire := sealed(t, clientOf(t, client), "x")
		for n := range separateSize + hashSize + minMain {
			if _, _, err := r.OpenPacket(bytes.Clone(wire[:n])); !errors.Is(err, core.ErrShort) {
				t.Errorf("datagram cut at %d: got %v, want core.ErrShort", n, err)
			}
		}
		for i := range separateSize + hashSize {
			b := bytes.Clone(wire)
			b[i] ^= 1
			if _, _, err := r.OpenPacket(b); !errors.Is(err, core.ErrAuth) {
				t.Errorf("datagram changed at %d: got %v, want core.ErrAuth", i, err)
			}
		}
	}
}

func TestNewRelayRefuses(t *testing.T) {
	s := specOf(t, aes128)
	for _, tc := range []struct {
		name string
		keys Keys
		spec Spec
		next []core.NextServer
		text string
	}{
		{"no AES", Keys{PSKs: [][]byte{psk(specOf(t, chacha), 1)}}, specOf(t, chacha), nil, "has no identity headers"},
		{"users", Keys{PSKs: [][]byte{psk(s, 1)}, Users: []User{{Name: "a", PSK: psk(s, 2)}}}, s, nil, "and no users"},
		{"two keys", Keys{PSKs: [][]byte{psk(s, 1), psk(s, 2)}}, s, nil, "and no users"},
		{"bad key", Keys{PSKs: [][]byte{psk(s, 1)}}, s, []core.NextServer{{Name: "tokyo", Key: "short"}}, "tokyo: invalid key: want "},
		{"own key", Keys{PSKs: [][]byte{psk(s, 1)}}, s, []core.NextServer{next(s, "tokyo", 1)}, "tokyo has the key of the relay itself"},
		{"same keys", Keys{PSKs: [][]byte{psk(s, 1)}}, s, []core.NextServer{next(s, "a", 2), next(s, "b", 2)}, "a and b have the same key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := fresh(t, tc.spec, tc.keys).NewRelay(tc.next)
			if r != nil || err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, %v, want an error with %q", r, err, tc.text)
			}
		})
	}
}

// FuzzRelay lets a relay read arbitrary bytes, as a stream and as a datagram: it returns those
// of unknown servers unchanged, and never panics.
func FuzzRelay(f *testing.F) {
	s := specOf(f, aes128)
	client := fresh(f, s, Keys{PSKs: [][]byte{psk(s, 1), psk(s, 2)}})
	f.Add(flight(f, client, "192.0.2.1:80", "hello"))
	f.Add(sealed(f, clientOf(f, client), "hello"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	r := relayOf(f, s, 1, next(s, "tokyo", 2))
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) > 32<<10 {
			return
		}
		_, out, err := passes(t, r, wire)
		if want := len(wire) - hashSize; err == nil && len(out) != want || err != nil && !bytes.Equal(out, wire) {
			t.Errorf("got %d bytes of %d, %v", len(out), len(wire), err)
		}
		if _, out, err := r.OpenPacket(bytes.Clone(wire)); err == nil && len(out) != len(wire)-hashSize {
			t.Errorf("datagram: got %d bytes of %d", len(out), len(wire))
		}
	})
}
