package aead2022

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// packetRules are the rules for datagrams in testdata/negative.json.
var packetRules = map[string]func(t *testing.T, p *packetClient, s core.PacketServer){
	"udp: duplicate packet id": func(t *testing.T, p *packetClient, s core.PacketServer) {
		wire := sealed(t, p, "x")
		opens(t, s, wire)
		drops(t, "again", s, wire, core.ErrReplay)
		drops(t, "same ID, other payload", s, forge(t, &p.sealer, 0, request(t, p.cipher, "y")), core.ErrReplay)
	},
	"udp: packet id behind the window": func(t *testing.T, p *packetClient, s core.PacketServer) {
		opens(t, s, forge(t, &p.sealer, 10_000, request(t, p.cipher, "x")))
		drops(t, "behind", s, forge(t, &p.sealer, 10_000-windowSize, request(t, p.cipher, "x")), core.ErrReplay)
		opens(t, s, forge(t, &p.sealer, 10_000-windowSize+1, request(t, p.cipher, "x")))
	},
	"udp: packet id 2^64-1": func(t *testing.T, p *packetClient, s core.PacketServer) {
		opens(t, s, sealed(t, p, "x"))
		opens(t, s, forge(t, &p.sealer, math.MaxUint64, request(t, p.cipher, "x")))
		drops(t, "lower", s, sealed(t, p, "x"), core.ErrReplay)
		drops(t, "again", s, forge(t, &p.sealer, math.MaxUint64, request(t, p.cipher, "x")), core.ErrReplay)
		opens(t, s, forge(t, &p.sealer, math.MaxUint64-5, request(t, p.cipher, "x")))
	},
	"udp: bad body does not move the window": func(t *testing.T, p *packetClient, s core.PacketServer) {
		opens(t, s, sealed(t, p, "x"))
		bad := forge(t, &p.sealer, 1_000_000, request(t, p.cipher, "x"))
		bad[len(bad)-1] ^= 1
		drops(t, "bad body", s, bad, core.ErrAuth)
		opens(t, s, sealed(t, p, "x"))
	},
	"udp: type 1 from client": func(t *testing.T, p *packetClient, s core.PacketServer) {
		main := request(t, p.cipher, "x")
		main[0] = typeServer
		wrong(t, "type 1", p, s, main, core.ErrMalformed)
	},
	"udp: timestamp off by 31 s": func(t *testing.T, p *packetClient, s core.PacketServer) {
		for _, off := range []time.Duration{31 * time.Second, -31 * time.Second} {
			main := append(socksaddr.Append(appendClientHeader(nil, noon.Add(off), nil), addr(t, "192.0.2.1:443")), 'x')
			wrong(t, off.String(), p, s, main, core.ErrClock)
		}
	},
	"udp: padding beyond packet": func(t *testing.T, p *packetClient, s core.PacketServer) {
		main := request(t, p.cipher, "x")
		main[9], main[10] = 0xFF, 0xFF
		wrong(t, "padding", p, s, main, core.ErrMalformed)
	},
	"udp: new source address, same session": func(t *testing.T, p *packetClient, s core.PacketServer) {
		first := opens(t, s, sealed(t, p, "x"))
		second, err := s.Open(sealed(t, p, "y"), elsewhere)
		if err != nil || second.Session != first.Session || !s.Roams() {
			t.Errorf("got another session from another address, %v", err)
		}
	},
}

// wrong sends a datagram with an invalid main header and a high packetID, in an existing and in
// a new session. It is a mistake of a client that has the key, and must not change the
// sessions.
func wrong(t *testing.T, what string, p *packetClient, s core.PacketServer, main []byte, want error) {
	t.Helper()
	other := clientOf(t, p.cipher)
	opens(t, s, sealed(t, p, "x"))
	sessions := s.(*packetServer).cipher.sessions
	all, live := sessions.len()
	for _, from := range []*packetClient{p, other} {
		bad := forge(t, &from.sealer, 2_000_000, main)
		drops(t, what, s, bad, want)
		if _, err := s.Open(bad, someone); !core.IsAuthenticated(err) {
			t.Errorf("%s: %v counts as unauthenticated", what, err)
		}
	}
	if a, l := sessions.len(); a != all || l != live {
		t.Errorf("%s: got %d sessions, %d live, want %d and %d", what, a, l, all, live)
	}
	opens(t, s, sealed(t, p, "x"))
	opens(t, s, sealed(t, other, "x"))
}

func TestPacketRules(t *testing.T) {
	for _, r := range rules(t) {
		if !strings.HasPrefix(r.Name, "udp: ") {
			continue
		}
		run := packetRules[r.Name]
		if run == nil {
			t.Fatalf("no test for the rule %q", r.Name)
		}
		t.Run(r.Name, func(t *testing.T) {
			each(t, func(t *testing.T, s setting) {
				p, server := pair(t, s)
				run(t, p, server)
			})
		})
	}
}

// TestPacketMalformed sends authentic datagrams with invalid contents.
func TestPacketMalformed(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		p, server := pair(t, s)
		header := appendClientHeader(nil, noon, nil)
		with := func(tail ...byte) []byte { return append(bytes.Clone(header), tail...) }
		for _, tc := range []struct {
			name string
			main []byte
			err  error
		}{
			{"address cut off", with(3, 200, 'a', 'b', 'c', 'd', 'e'), core.ErrMalformed},
			{"unknown type", with(2, 0, 0, 0, 0, 0, 0), core.ErrAddrType},
			{"flag in the type", with(0x11, 192, 0, 2, 1, 0, 80), core.ErrAddrType},
			{"bad name", with(3, 3, 'a', ' ', 'b', 0, 80), core.ErrMalformed},
			{"port 0", with(1, 192, 0, 2, 1, 0, 0), core.ErrMalformed},
			{"padding takes the address", append(appendClientHeader(nil, noon, make([]byte, 9)), 1), core.ErrMalformed},
		} {
			wrong(t, tc.name, p, server, tc.main, tc.err)
		}
	})
}

// TestSessionOfAnother lets bob use the session ID of alice.
func TestSessionOfAnother(t *testing.T) {
	for _, method := range withAES {
		t.Run(method, func(t *testing.T) {
			server, alice, bob := house(t, method)
			s, a := serverOf(t, server), clientOf(t, alice)
			o := opens(t, s, sealed(t, a, "x"))
			if o.Session.User() != "alice" {
				t.Errorf("got user %q, want alice", o.Session.User())
			}
			b, err := bob.newPacketClient(a.sessionID)
			if err != nil {
				t.Fatal(err)
			}
			b.packets.Store(5)
			drops(t, "bob in alice's session", s, sealed(t, b, "x"), core.ErrAuth)
			o.Session.Close()
			drops(t, "bob in alice's session after its end", s, sealed(t, b, "x"), core.ErrAuth)
			if again := opens(t, s, sealed(t, a, "y")); again.Session.User() != "alice" {
				t.Errorf("got user %q after bob, want alice", again.Session.User())
			}
			if o := opens(t, s, sealed(t, clientOf(t, bob), "x")); o.Session.User() != "bob" {
				t.Errorf("got user %q, want bob", o.Session.User())
			}
			// alice's identity header before what bob's key sealed.
			mixed, err := bob.newPacketClient(newSessionID())
			if err != nil {
				t.Fatal(err)
			}
			mixed.cipher = alice
			drops(t, "alice's header before bob's body", s, sealed(t, mixed, "x"), core.ErrAuth)
		})
	}
}

// TestPacketUnknownIdentity checks that datagrams of unknown users are dropped and leave no
// state behind.
func TestPacketUnknownIdentity(t *testing.T) {
	for _, method := range withAES {
		server, alice, _ := house(t, method)
		s, spec := serverOf(t, server), server.spec
		for name, keys := range map[string][][]byte{
			"stranger":                  {psk(spec, 0), psk(spec, 9)},
			"other identity key":        {psk(spec, 9), psk(spec, 1)},
			"no identity header":        {psk(spec, 1)},
			"identity key, and no user": {psk(spec, 0)},
		} {
			drops(t, method+", "+name, s, sealed(t, clientOf(t, fresh(t, spec, Keys{PSKs: keys})), "hello, world, hello"), core.ErrAuth)
		}
		before := sealed(t, clientOf(t, alice), "x")
		none, err := newUsers(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		server.identity.users.Store(none)
		drops(t, method+", removed", s, before, core.ErrAuth)
		if all, _ := server.sessions.len(); all != 0 {
			t.Errorf("%s: got %d sessions, want none", method, all)
		}
	}
}
