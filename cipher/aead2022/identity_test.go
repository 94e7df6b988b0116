package aead2022

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// withAES are the methods with identity headers.
var withAES = []string{aes128, aes256}

// house returns a server with the users alice and bob, and clients of both.
func house(t testing.TB, method string) (server, alice, bob *Cipher) {
	t.Helper()
	s := specOf(t, method)
	server = fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}, Users: []User{{Name: "alice", PSK: psk(s, 1)}, {Name: "bob", PSK: psk(s, 2)}}})
	alice = fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 1)}})
	bob = fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 2)}})
	return server, alice, bob
}

func TestUsers(t *testing.T) {
	for _, method := range withAES {
		t.Run(method, func(t *testing.T) {
			server, alice, bob := house(t, method)
			for want, c := range map[string]*Cipher{"alice": alice, "bob": bob} {
				a, plain := accepts(t, server, flight(t, c, "example.com:443", "hello"))
				if a.User != want || string(plain) != "hello" {
					t.Errorf("got user %q, %q, want %q", a.User, plain, want)
				}
			}
		})
	}
}

// unknown checks that a request is refused because of an unknown identity.
func unknown(t *testing.T, what string, server *Cipher, b []byte) {
	t.Helper()
	err := refused(t, server, b)
	if !errors.Is(err, core.ErrAuth) || core.IsAuthenticated(err) || !strings.Contains(err.Error(), "unknown identity") {
		t.Errorf("%s: got %v, want an unauthenticated core.ErrAuth that says unknown identity", what, err)
	}
}

func TestUnknownIdentity(t *testing.T) {
	for _, method := range withAES {
		t.Run(method, func(t *testing.T) {
			server, alice, bob := house(t, method)
			s := server.spec
			stranger := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 9)}})
			unknown(t, "stranger", server, flight(t, stranger, "192.0.2.1:80", "x"))
			unknown(t, "other identity key", server, flight(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 9), psk(s, 1)}}), "192.0.2.1:80", "x"))
			unknown(t, "no identity header, user's key", server, flight(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 1)}}), "192.0.2.1:80", "x"))
			unknown(t, "no identity header, identity key", server, flight(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}}), "192.0.2.1:80", "x"))
			unknown(t, "two identity headers", server, flight(t, fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 9), psk(s, 1)}}), "192.0.2.1:80", "x"))

			salt := flight(t, alice, "192.0.2.1:80", "x")[:s.KeySize]
			header := make([]byte, hashSize)
			if _, err := alice.putIdentities(header, salt); err != nil {
				t.Fatal(err)
			}
			mixed := forgery{salt: salt, identity: header, variable: append(appendAddressing(nil, addr(t, "192.0.2.1:80"), nil), 'x')}
			err := refused(t, server, mixed.request(t, bob))
			if !errors.Is(err, core.ErrAuth) || core.IsAuthenticated(err) {
				t.Errorf("alice's header before bob's request: got %v, want core.ErrAuth", err)
			}
			if server.salts.Len() != 0 {
				t.Errorf("%d salts are remembered, want none", server.salts.Len())
			}
		})
	}
}

// TestSwapUsers replaces the user table: it applies to the next request.
func TestSwapUsers(t *testing.T) {
	server, alice, bob := house(t, aes128)
	only, err := newUsers(server.spec, []User{{Name: "robert", PSK: psk(server.spec, 2)}})
	if err != nil {
		t.Fatal(err)
	}
	server.identity.users.Store(only)
	unknown(t, "removed", server, flight(t, alice, "192.0.2.1:80", "x"))
	if a, _ := accepts(t, server, flight(t, bob, "192.0.2.1:80", "x")); a.User != "robert" {
		t.Errorf("got user %q, want robert", a.User)
	}
}

// TestRoles uses roles for which keys are missing.
func TestRoles(t *testing.T) {
	server, _, _ := house(t, aes256)
	dialled := false
	if _, err := server.DialStream(addr(t, "192.0.2.1:80"), nil, func([]byte) (core.Stream, error) {
		dialled = true
		return &tape{}, nil
	}); err == nil || !strings.Contains(err.Error(), "IDENTITY:USER") || dialled {
		t.Errorf("dial without a user's key: got %v, dialled %t", err, dialled)
	}
	if _, err := server.NewPacketClient(); err == nil || !strings.Contains(err.Error(), "IDENTITY:USER") {
		t.Errorf("datagrams without a user's key: got %v", err)
	}
	s := server.spec
	far := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 1), psk(s, 2)}})
	if err := refused(t, far, flight(t, far, "192.0.2.1:80", "x")[:0]); !strings.Contains(err.Error(), "more than one identity key") {
		t.Errorf("accept with two identity keys: got %v", err)
	}
	if _, err := far.NewPacketServer(); err == nil || !strings.Contains(err.Error(), "more than one identity key") {
		t.Errorf("datagrams with two identity keys: got %v", err)
	}
}

// BenchmarkIdentify measures reading an identity header; the number of users makes no
// difference.
func BenchmarkIdentify(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := specOf(b, aes256)
			var users []User
			for i := range n {
				key := psk(s, 1)
				key[0], key[1] = byte(i), byte(i>>8)
				users = append(users, User{Name: fmt.Sprint(i), PSK: key})
			}
			server := fresh(b, s, Keys{PSKs: [][]byte{psk(s, 0)}, Users: users})
			client := fresh(b, s, Keys{PSKs: [][]byte{psk(s, 0), users[n/2].PSK}})
			wire := flight(b, client, "192.0.2.1:80", "x")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := server.userOf(wire[:32], wire[32:48]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
