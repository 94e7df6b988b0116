package dns

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// said is how an honest server answers: a.test has an address, other names don't
// exist.
func said(t testing.TB, q query) []byte {
	if !strings.EqualFold(q.name, "a.test.") {
		return message(t, q, dns.RcodeNameError, "--", "test. 60 SOA ns. mail. 1 2 3 4 60")
	}
	return message(t, q, 0, "a.test. 60 A 192.0.2.7")
}

// forged is what a forger would have believed.
func forged(t testing.TB, q query) []byte { return message(t, q, 0, q.name+" 60 A 192.0.2.66") }

// TestLies has a server, or somebody in its place, say other things than the answer.
func TestLies(t *testing.T) {
	type script = func(t testing.TB, q query, back func([]byte))
	honest := func(t testing.TB, q query, back func([]byte)) { back(said(t, q)) }
	change := func(change func(b []byte)) script { // a lie first, then the truth
		return func(t testing.TB, q query, back func([]byte)) {
			lie := forged(t, q)
			change(lie)
			back(lie)
			back(said(t, q))
		}
	}
	const udp, tcp = true, false
	for _, tc := range []struct {
		name string
		udp  script
		tcp  script
		by   bool // by what the answer comes
	}{
		{"the truth", honest, nil, udp},
		{"the truth twice", func(t testing.TB, q query, back func([]byte)) { back(said(t, q)); back(forged(t, q)) }, nil, udp},
		{"another ID", change(func(b []byte) { b[0] ^= 1 }), nil, udp},
		{"another name", change(func(b []byte) { b[headerSize+1]++ }), nil, udp},
		{"another type", change(func(b []byte) { b[headerSize+9] = 28 }), nil, udp},
		{"a query", change(func(b []byte) { b[2] &^= 0x80 }), nil, udp},
		{"nothing", func(t testing.TB, q query, back func([]byte)) { back(nil); back([]byte{1}); back(said(t, q)) }, nil, udp},
		{"from another port", func(t testing.TB, q query, back func([]byte)) { back(said(t, q)) }, nil, udp},
		{"letters of another case", func(t testing.TB, q query, back func([]byte)) {
			lie := forged(t, q)
			copy(lie[headerSize:], swapped(q.section[:len(q.section)-4]))
			back(lie)
		}, honest, tcp},
		{"a flood of wrong IDs", func(t testing.TB, q query, back func([]byte)) {
			lie := forged(t, q)
			for range maxStrangers {
				lie[0]++
				back(lie)
			}
		}, honest, tcp},
		{"truncated", func(t testing.TB, q query, back func([]byte)) {
			lie := forged(t, q)
			lie[2] |= 0x02
			back(lie)
		}, honest, tcp},
		{"oversized", func(t testing.TB, q query, back func([]byte)) {
			back(append(forged(t, q), make([]byte, udpBuffer)...))
		}, honest, tcp},
		{"no EDNS", func(t testing.TB, q query, back func([]byte)) {
			if q.edns() {
				back(message(t, q, dns.RcodeFormatError))
				return
			}
			back(said(t, q))
		}, nil, udp},
		{"lost once", func() script {
			seen := false
			return func(t testing.TB, q query, back func([]byte)) {
				if seen {
					back(said(t, q))
				}
				seen = true
			}
		}(), nil, udp},
		{"TCP with strangers between", func(t testing.TB, q query, back func([]byte)) {
			lie := forged(t, q)
			lie[2] |= 0x02
			back(lie)
		}, func(t testing.TB, q query, back func([]byte)) {
			lie := forged(t, q)
			lie[0] ^= 1
			back(lie)
			back([]byte{1, 2, 3})
			back(said(t, q))
		}, tcp},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			bind := func(s script) func(query, func([]byte)) {
				if s == nil {
					return nil
				}
				return func(q query, back func([]byte)) { s(t, q, back) }
			}
			s := newScripted(t, bind(tc.udp), bind(tc.tcp))
			o := options(t, s.addr)
			o.Prefer = "ipv4-only"
			got, err := start(t, o).LookupIP(t.Context(), "a.test")
			if err != nil || !slices.Equal(got, addrs("192.0.2.7")) {
				t.Errorf("got %v, %v, want the true address", got, err)
			}
			if _, messages, _ := s.counts(); messages > 0 != (tc.by == tcp) {
				t.Errorf("got %d questions by TCP, want them %t", messages, tc.by == tcp)
			}
		})
	}
}

// swapped returns a name with the case of all its letters changed.
func swapped(name []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r ^ 0x20
		}
		return r
	}, name)
}

// TestStrangerSocket checks that the kernel drops an answer from another port than
// the one that was asked, though all else in it is right.
func TestStrangerSocket(t *testing.T) {
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := u.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if q, ok := received(buf[:n]); ok {
				_, _ = other.WriteToUDP(forged(t, q), from)
				_, _ = u.WriteToUDP(said(t, q), from)
			}
		}
	}()
	defer func() { u.Close(); <-done }()
	o := options(t, u.LocalAddr().String())
	o.Prefer = "ipv4-only"
	if got, err := start(t, o).LookupIP(t.Context(), "a.test"); err != nil || !slices.Equal(got, addrs("192.0.2.7")) {
		t.Errorf("got %v, %v, want the true address", got, err)
	}
}

// TestUseless has servers that give no answer; the next one has it.
func TestUseless(t *testing.T) {
	for _, tc := range []struct {
		name   string
		scheme string
		script func(t testing.TB, q query, back func([]byte))
		text   string // of the error that a server of its kind alone leads to
	}{
		{"server failure", "", func(t testing.TB, q query, back func([]byte)) { back(message(t, q, dns.RcodeServerFailure)) }, "SERVFAIL"},
		{"refused, a header alone", "", func(t testing.TB, q query, back func([]byte)) {
			msg := message(t, q, dns.RcodeRefused)[:headerSize]
			msg[5] = 0
			back(msg)
		}, "REFUSED"},
		{"lame", "", func(t testing.TB, q query, back func([]byte)) { back(message(t, q, 0, "--", "test. 60 NS ns.other.")) }, errLame.Error()},
		{"a loop of pointers", "", func(_ testing.TB, q query, back func([]byte)) {
			back(raw(q, 1, []byte{0xC0, byte(headerSize + len(q.section))}))
		}, "does not point backwards"},
		{"cut", "", func(t testing.TB, q query, back func([]byte)) {
			msg := said(t, q)
			back(msg[:len(msg)-1])
		}, "message ends within a record"},
		{"a chain of a thousand", "tcp://", func(t testing.TB, q query, back func([]byte)) { back(message(t, q, 0, chainOf(400)...)) }, "chain of over 64"},
		{"truncated by TCP", "tcp://", func(t testing.TB, q query, back func([]byte)) {
			msg := said(t, q)
			msg[2] |= 2
			back(msg)
		}, "truncated"},
		{"hangs up", "tcp://", func(_ testing.TB, _ query, back func([]byte)) { back(nil) }, errEnded.Error()},
		{"strangers by TCP", "tcp://", func(t testing.TB, q query, back func([]byte)) {
			msg := forged(t, q)
			msg[0] ^= 1
			for range maxStrangers {
				back(msg)
			}
		}, errStrange.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			bad := func(q query, back func([]byte)) { tc.script(t, q, back) }
			useless, good := newScripted(t, bad, bad), newScripted(t, func(q query, back func([]byte)) { back(said(t, q)) }, nil)
			o := options(t, tc.scheme+useless.addr, good.addr)
			o.Prefer = "ipv4-only"
			if got, err := start(t, o).LookupIP(t.Context(), "a.test"); err != nil || !slices.Equal(got, addrs("192.0.2.7")) {
				t.Errorf("got %v, %v, want the address", got, err)
			}
			o.Servers = nameServers(t, tc.scheme+useless.addr)
			if got, err := start(t, o).LookupIP(t.Context(), "a.test"); err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("alone: got %v, %v, want an error with %q", got, err, tc.text)
			}
		})
	}
}
