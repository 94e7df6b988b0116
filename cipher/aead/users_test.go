package aead_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// nameOf is the name of a user, passwordOf the password.
func nameOf(n int) string     { return fmt.Sprintf("user %d", n) }
func passwordOf(n int) string { return fmt.Sprintf("the password of user %d", n) }

func manyUsers(n int) map[string]option.Text {
	all := map[string]option.Text{}
	for i := range n {
		all[nameOf(i)] = option.Text(passwordOf(i))
	}
	return all
}

// server returns a server with n users and without a password.
func server(t testing.TB, method string, n int) core.Cipher {
	t.Helper()
	c, log, err := build(t, registry(), method, aead.Options{Options: users.Options{Users: manyUsers(n)}}, new(core.Process))
	if err != nil || log != "" {
		t.Fatalf("got %v, log %s", err, log)
	}
	return c
}

// client returns the client of a user.
func client(t testing.TB, method string, n int) core.Cipher {
	t.Helper()
	c, _, err := build(t, registry(), method, withPassword(passwordOf(n)), new(core.Process))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// flightOf returns the first flight of a client.
func flightOf(t testing.TB, c core.Cipher) []byte {
	t.Helper()
	var flight []byte
	s, err := c.DialStream(core.AddrFrom(someone), []byte("hello"), func(hello []byte) (core.Stream, error) {
		flight = bytes.Clone(hello)
		near, far := coretest.Pipe()
		far.Close()
		return near, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	return flight
}

// accept lets a server read a flight, and returns the user and the grant.
func accept(t testing.TB, c core.Cipher, flight []byte, from netip.AddrPort) (core.Accepted, error) {
	t.Helper()
	conn, far := coretest.Pipe()
	defer far.Close()
	defer conn.Close()
	if _, err := far.Write(flight); err != nil {
		t.Fatal(err)
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	a, err := c.AcceptStream(conn, core.Caller{Addr: from})
	if err == nil {
		a.Payload = bytes.Clone(a.Payload)
		a.Stream.Close()
	}
	return a, err
}

// datagram returns a datagram of a client.
func datagram(t testing.TB, c core.Cipher) []byte {
	t.Helper()
	p, err := c.(core.PacketCipher).NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	wire, err := p.AppendPacket(nil, []byte("hello"), core.AddrFrom(someone))
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func packetServer(t testing.TB, c core.Cipher) core.PacketServer {
	t.Helper()
	s, err := c.(core.PacketCipher).NewPacketServer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestUsers checks that a server identifies few and many users, by streams and datagrams,
// from known and unknown addresses.
func TestUsers(t *testing.T) {
	for _, method := range []string{"aes-128-gcm", "chacha20-ietf-poly1305"} {
		for _, n := range []int{1, 3, 100} {
			s := server(t, method, n)
			p := packetServer(t, s)
			for _, from := range []string{"192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"} {
				for _, u := range []int{0, n / 2, n - 1, 0} {
					at, c := netip.MustParseAddrPort(from), client(t, method, u)
					a, err := accept(t, s, flightOf(t, c), at)
					if err != nil || a.User != nameOf(u) || string(a.Payload) != "hello" {
						t.Errorf("%s, user %d of %d: got user %q, %v", method, u, n, a.User, err)
					}
					o, err := p.Open(datagram(t, c), at)
					if err != nil || o.Session.User() != nameOf(u) || string(o.Payload) != "hello" {
						t.Fatalf("%s, datagram of user %d of %d: got %v", method, u, n, err)
					}
					answer, err := o.Session.AppendPacket(nil, []byte("answer"), core.AddrFrom(someone))
					if err != nil {
						t.Fatal(err)
					}
					pc, _ := c.(core.PacketCipher).NewPacketClient()
					if got, _, err := pc.OpenPacket(answer); err != nil || string(got) != "answer" {
						t.Errorf("%s, user %d: an answer under another key: %v", method, u, err)
					}
				}
			}
			stranger := client(t, method, n)
			if _, err := accept(t, s, flightOf(t, stranger), someone); !errors.Is(err, core.ErrAuth) {
				t.Errorf("%s, a stranger among %d: got %v, want %v", method, n, err, core.ErrAuth)
			}
			if _, err := p.Open(datagram(t, stranger), someone); !errors.Is(err, core.ErrAuth) {
				t.Errorf("%s, a stranger's datagram among %d: got %v, want %v", method, n, err, core.ErrAuth)
			}
		}
	}
}

// A server with users does not accept the password of its own table.
func TestPasswordBesideUsers(t *testing.T) {
	o := withPassword("of clients in this file")
	o.Users = manyUsers(2)
	s, _, err := build(t, registry(), "aes-256-gcm", o, new(core.Process))
	if err != nil {
		t.Fatal(err)
	}
	own, _, err := build(t, registry(), "aes-256-gcm", withPassword("of clients in this file"), new(core.Process))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accept(t, s, flightOf(t, s), someone); !errors.Is(err, core.ErrAuth) {
		t.Errorf("got %v, want %v", err, core.ErrAuth)
	}
	if a, err := accept(t, own, flightOf(t, s), someone); err != nil || a.User != "" {
		t.Errorf("its clients, at a server of that password: got %q, %v", a.User, err)
	}
	only := server(t, "aes-256-gcm", 2)
	if _, err := only.DialStream(core.AddrFrom(someone), nil, nil); err == nil || !strings.Contains(err.Error(), "a client needs a password") {
		t.Errorf("dial without a password: got %v", err)
	}
	if _, err := only.(core.PacketCipher).NewPacketClient(); err == nil || !strings.Contains(err.Error(), "a client needs a password") {
		t.Errorf("datagrams without a password: got %v", err)
	}
}

// A recording is refused for every user.
func TestUsersReplay(t *testing.T) {
	s := server(t, "aes-256-gcm", 20)
	flight, wire := flightOf(t, client(t, "aes-256-gcm", 7)), datagram(t, client(t, "aes-256-gcm", 8))
	if _, err := accept(t, s, flight, someone); err != nil {
		t.Fatal(err)
	}
	if _, err := accept(t, s, flight, netip.MustParseAddrPort("192.0.2.9:9")); !errors.Is(err, core.ErrReplay) {
		t.Errorf("got %v, want %v", err, core.ErrReplay)
	}
	p := packetServer(t, s)
	if _, err := p.Open(bytes.Clone(wire), someone); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(wire, netip.MustParseAddrPort("192.0.2.9:9")); !errors.Is(err, core.ErrReplay) {
		t.Errorf("a datagram: got %v, want %v", err, core.ErrReplay)
	}
}

func TestUserOptions(t *testing.T) {
	for _, tc := range []struct {
		name  string
		users map[string]option.Text
		key   string
		text  string
		warn  bool
	}{
		{"good", manyUsers(3), "", "", false},
		{"short", map[string]option.Text{"a": "short", "b": "long enough, surely"}, "", "", true},
		{"same password", map[string]option.Text{"a": "long enough, surely", "b": "long enough, surely"}, "users", `the users "a" and "b" have the same password`, false},
		{"no users", map[string]option.Text{}, "users", "no users in this table", false},
		{"no name", map[string]option.Text{"": "long enough, surely"}, "users", "empty name", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, log, err := build(t, registry(), "aes-256-gcm", aead.Options{Options: users.Options{Users: tc.users}}, new(core.Process))
			bad, ok := errors.AsType[*core.OptionError](err)
			if ok != (tc.key != "") || ok && (bad.Key != tc.key || !strings.Contains(err.Error(), tc.text)) {
				t.Errorf("got %v, want an error for %q with %q", err, tc.key, tc.text)
			}
			if warned := strings.Contains(log, "users=1"); warned != tc.warn || strings.Contains(log+fmt.Sprint(err), "long enough") {
				t.Errorf("got warning %t, want %t and no password: %s", warned, tc.warn, log)
			}
		})
	}
}

// TestUsersFile changes the file while a server runs.
func TestUsersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.json")
	write := func(numbers ...int) {
		t.Helper()
		all := map[string]string{}
		for _, n := range numbers {
			all[nameOf(n)] = passwordOf(n)
		}
		text, err := json.Marshal(all)
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(0, 1, 2)
	synctest.Test(t, func(t *testing.T) {
		o := aead.Options{Options: users.Options{UsersFile: path, CutRemoved: true}}
		s, _, err := build(t, registry(), "aes-256-gcm", o, new(core.Process))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.(core.Runner).Run(ctx)
		p := packetServer(t, s)
		zero, three := client(t, "aes-256-gcm", 0), client(t, "aes-256-gcm", 3)
		a, err := accept(t, s, flightOf(t, zero), someone)
		if err != nil || a.Grant == nil {
			t.Fatalf("got %v, grant %v", err, a.Grant)
		}
		before, err := p.Open(datagram(t, zero), someone)
		if err != nil || before.Session.(core.GrantedSession).Grant() != a.Grant {
			t.Errorf("a datagram has another grant, or %v", err)
		}
		write(0, 1, 3)
		time.Sleep(time.Second)
		synctest.Wait()
		if b, err := accept(t, s, flightOf(t, three), someone); err != nil || b.User != nameOf(3) {
			t.Errorf("a user that was added: got %q, %v", b.User, err)
		}
		if after, err := p.Open(datagram(t, zero), someone); err != nil || after.Session != before.Session {
			t.Errorf("a user that stayed has another session, or %v", err)
		}
		write(1, 3)
		time.Sleep(time.Second)
		synctest.Wait()
		if _, err := accept(t, s, flightOf(t, zero), someone); !errors.Is(err, core.ErrAuth) {
			t.Errorf("a user that was removed: got %v, want %v", err, core.ErrAuth)
		}
		if _, err := p.Open(datagram(t, zero), someone); !errors.Is(err, core.ErrAuth) {
			t.Errorf("a datagram of a user that was removed: got %v, want %v", err, core.ErrAuth)
		}
	})
}

// TestUsersKept checks that a cipher that is built again keeps the sessions of users that
// still exist.
func TestUsersKept(t *testing.T) {
	process := new(core.Process)
	sessions := func(n int) core.PacketSession {
		s, _, err := build(t, registry(), "aes-256-gcm", aead.Options{Options: users.Options{Users: manyUsers(n)}}, process)
		if err != nil {
			t.Fatal(err)
		}
		o, err := packetServer(t, s).Open(datagram(t, client(t, "aes-256-gcm", 1)), someone)
		if err != nil {
			t.Fatal(err)
		}
		return o.Session
	}
	if a, b := sessions(3), sessions(5); a != b {
		t.Error("a reload began another session")
	}
}

// A server with many users passes the complete kit.
func TestUsersConformance(t *testing.T) {
	make := func(t testing.TB) core.Cipher {
		o := withPassword(passwordOf(19))
		o.Users = manyUsers(20)
		c, _, err := build(t, registry(), "aes-256-gcm", o, new(core.Process))
		if err != nil {
			t.Fatal(err)
		}
		aead.SearchAtWill(c)
		return c
	}
	ciphertest.Run(t, make)
	t.Run("packets", func(t *testing.T) {
		ciphertest.RunPackets(t, func(t testing.TB) core.PacketCipher { return make(t).(core.PacketCipher) })
	})
}
