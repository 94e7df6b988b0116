package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core"
)

// message packs a reply to q from records in zone file form: the answer section,
// and behind a line "--" the authority section.
func message(t testing.TB, q query, rcode int, lines ...string) []byte {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(q.wire); err != nil {
		t.Fatal(err)
	}
	m.Response, m.RecursionAvailable, m.Rcode, m.Extra, m.Compress = true, true, rcode, nil, true
	into := &m.Answer
	for _, line := range lines {
		if line == "--" {
			into = &m.Ns
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		*into = append(*into, rr)
	}
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// ask returns a question for a.test as it is sent.
func ask(t testing.TB, f form) query {
	t.Helper()
	q, err := newQuery(question{"a.test", dns.TypeA}, f)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// chainOf returns CNAMEs from a.test on, and an address at the end.
func chainOf(n int) []string {
	lines := []string{}
	name := "a.test."
	for i := range n {
		next := fmt.Sprintf("c%d.test.", i)
		lines = append(lines, fmt.Sprintf("%s %d CNAME %s", name, max(1, 100-i), next))
		name = next
	}
	return append(lines, name+" 300 A 192.0.2.7")
}

// TestRead checks what is made of messages that are in order.
func TestRead(t *testing.T) {
	soaLine := "test. 50 SOA ns.test. mail.test. 1 2 3 4 40"
	for _, tc := range []struct {
		name  string
		rcode int
		lines []string
		want  answer
		err   error
	}{
		{"address", 0, []string{"a.test. 60 A 192.0.2.7"}, answer{ips: addrs("192.0.2.7"), ttl: time.Minute}, nil},
		{"case", 0, []string{"A.TEST. 60 A 192.0.2.7"}, answer{ips: addrs("192.0.2.7"), ttl: time.Minute}, nil},
		{"several, the least TTL", 0, []string{"a.test. 60 A 192.0.2.7", "a.test. 30 A 192.0.2.8", "a.test. 60 A 192.0.2.7"},
			answer{ips: addrs("192.0.2.7", "192.0.2.8"), ttl: 30 * time.Second}, nil},
		{"another name's address", 0, []string{"a.test. 60 A 192.0.2.7", "bank.test. 60 A 192.0.2.66"},
			answer{ips: addrs("192.0.2.7"), ttl: time.Minute}, nil},
		{"another name's address alone", 0, []string{"bank.test. 60 A 192.0.2.66"}, answer{status: empty, ttl: unsaid}, nil},
		{"another type", 0, []string{"a.test. 60 AAAA 2001:db8::1", "--", soaLine}, answer{status: empty, ttl: 40 * time.Second}, nil},
		{"another class", 0, []string{"a.test. 60 CH A 192.0.2.7"}, answer{status: empty, ttl: unsaid}, nil},
		{"chain", 0, chainOf(2), answer{ips: addrs("192.0.2.7"), ttl: 99 * time.Second, chain: 2}, nil},
		{"chain of 64", 0, chainOf(64), answer{ips: addrs("192.0.2.7"), ttl: 37 * time.Second, chain: 64}, nil},
		{"chain of 65", 0, chainOf(65), answer{}, core.ErrMalformed},
		{"chain backwards", 0, reversed(chainOf(3)), answer{ips: addrs("192.0.2.7"), ttl: 98 * time.Second, chain: 3}, nil},
		{"chain in a circle", 0, []string{"a.test. 60 CNAME b.test.", "b.test. 60 CNAME a.test."}, answer{}, core.ErrMalformed},
		{"chain without an end", 0, []string{"a.test. 60 CNAME b.other."}, answer{ttl: time.Minute, chain: 1, next: "b.other"}, nil},
		{"chain to nothing", 0, []string{"a.test. 60 CNAME b.test.", "--", soaLine}, answer{status: empty, ttl: 40 * time.Second, chain: 1}, nil},
		{"chain to no such name", dns.RcodeNameError, []string{"a.test. 60 CNAME b.test.", "--", soaLine},
			answer{status: missing, ttl: 40 * time.Second, chain: 1}, nil},
		{"no such name", dns.RcodeNameError, []string{"--", soaLine}, answer{status: missing, ttl: 40 * time.Second}, nil},
		{"no such name, a stranger's SOA", dns.RcodeNameError, []string{"--", "other. 50 SOA ns. mail. 1 2 3 4 40"}, answer{status: missing, ttl: unsaid}, nil},
		{"no such name, the root's SOA", dns.RcodeNameError, []string{"--", ". 30 SOA ns. mail. 1 2 3 4 40"}, answer{status: missing, ttl: 30 * time.Second}, nil},
		{"no such name with an address", dns.RcodeNameError, []string{"a.test. 60 A 192.0.2.7"}, answer{}, core.ErrMalformed},
		{"referral", 0, []string{"--", "test. 60 NS ns.other."}, answer{}, errLame},
		{"refused", dns.RcodeRefused, nil, answer{}, errServer},
		{"loopback", 0, []string{"a.test. 60 A 127.0.0.1"}, answer{ips: addrs("127.0.0.1"), ttl: time.Minute}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := ask(t, form{id: true, mixed: true})
			msg := message(t, q, tc.rcode, tc.lines...)
			if got := q.compare(msg); got != same {
				t.Fatalf("compare: got %d, want same", got)
			}
			r, err := parseReply(msg, len(q.section))
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.read(q.question)
			if !errors.Is(err, tc.err) || got.status != tc.want.status || !slices.Equal(got.ips, tc.want.ips) ||
				got.ttl != tc.want.ttl || got.chain != tc.want.chain || got.next != tc.want.next {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func reversed(lines []string) []string {
	slices.Reverse(lines)
	return lines
}

// TestManyAddresses checks that of a long answer a few addresses are kept.
func TestManyAddresses(t *testing.T) {
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf("a.test. 60 A 192.0.2.%d", i))
	}
	q := ask(t, form{id: true})
	r, err := parseReply(message(t, q, 0, lines...), len(q.section))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.read(q.question); err != nil || len(got.ips) != maxAddrs {
		t.Errorf("got %d addresses, %v, want %d", len(got.ips), err, maxAddrs)
	}
}

// raw is a reply with a section written by hand: its head, the question, and what
// follows. count is of the answers.
func raw(q query, count int, after []byte) []byte {
	b := slices.Clone(q.wire[:headerSize])
	b[2], b[3] = 0x81, 0x80
	for i := 4; i < headerSize; i++ {
		b[i] = 0
	}
	b[5] = 1
	binary.BigEndian.PutUint16(b[6:], uint16(count))
	return append(append(b, q.section...), after...)
}

// TestMalformed checks messages that nobody sends by accident.
func TestMalformed(t *testing.T) {
	q := ask(t, form{id: true})
	end := headerSize + len(q.section) // where the answers begin
	at := func(off int) []byte { return []byte{0xC0 | byte(off>>8), byte(off)} }
	fixed := []byte{0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7} // A IN 60 4 192.0.2.7
	long := []byte{}
	for range 5 {
		long = append(append(long, 63), make([]byte, 63)...)
	}
	for _, tc := range []struct {
		name  string
		count int
		after []byte
	}{
		{"a record that is not there", 1, nil},
		{"a pointer to itself", 1, append(at(end), fixed...)},
		{"a pointer forwards", 1, append(at(end+2), fixed...)},
		{"a pointer out of the message", 1, append(at(0x3FFF), fixed...)},
		{"half a pointer", 1, []byte{0xC0}},
		{"two names that point to each other", 1, append(append([]byte{1, 'x'}, at(end)...), fixed...)},
		{"a label of an unknown type", 1, append([]byte{0x80, 0}, fixed...)},
		{"a label that is cut", 1, []byte{5, 'a'}},
		{"a name that is too long", 1, append(append(long, 0), fixed...)},
		{"a record that is cut", 1, append(at(headerSize), fixed[:len(fixed)-1]...)},
		{"a record that is cut in its head", 1, append(at(headerSize), fixed[:5]...)},
		{"an address of five bytes", 1, append(at(headerSize), 0, 1, 0, 1, 0, 0, 0, 60, 0, 5, 1, 2, 3, 4, 5)},
		{"an IPv4 address in AAAA", 1, append(at(headerSize), 0, 28, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4)},
		{"a CNAME that is longer than its name", 1, append(at(headerSize), 0, 5, 0, 1, 0, 0, 0, 60, 0, 3, 0xC0, headerSize, 0)},
		{"a CNAME that is shorter than its name", 1, append(at(headerSize), 0, 5, 0, 1, 0, 0, 0, 60, 0, 1, 0xC0, headerSize)},
		{"more records than there is room for", 65535, append(at(headerSize), fixed...)},
		{"many records", 600, slices.Repeat(append(at(headerSize), fixed...), 600)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := parseReply(raw(q, tc.count, tc.after), len(q.section))
			if !errors.Is(err, core.ErrMalformed) {
				t.Errorf("got %+v, %v, want core.ErrMalformed", r, err)
			}
		})
	}
	if r, err := parseReply(raw(q, 1, append(at(headerSize), fixed...)), len(q.section)); err != nil || len(r.records) != 1 {
		t.Errorf("in order: got %+v, %v, want one record", r, err)
	}
}

// TestPointers checks how many pointers a name may follow.
func TestPointers(t *testing.T) {
	msg := []byte{1, 'x', 0, 0}
	for i := range maxPointers + 1 {
		msg = append(msg, 1, 'x', 0xC0, byte(4*i))
	}
	p := parser{msg: msg}
	if name, end, err := p.name(4 * maxPointers); err != nil || name != strings.Repeat("x.", maxPointers)+"x" || end != 4*maxPointers+4 {
		t.Errorf("%d pointers: got %q, %d, %v", maxPointers, name, end, err)
	}
	if name, _, err := p.name(4 * (maxPointers + 1)); !errors.Is(err, core.ErrMalformed) {
		t.Errorf("%d pointers: got %q, %v, want core.ErrMalformed", maxPointers+1, name, err)
	}
}

// TestMapped checks that an IPv4 address in an IPv6 one comes out as what it is, so
// that whoever judges it sees that.
func TestMapped(t *testing.T) {
	q, err := newQuery(question{"a.test", dns.TypeAAAA}, form{id: true})
	if err != nil {
		t.Fatal(err)
	}
	mapped := netip.MustParseAddr("::ffff:127.0.0.1").As16()
	after := append([]byte{0xC0, headerSize, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16}, mapped[:]...)
	r, err := parseReply(raw(q, 1, after), len(q.section))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.read(q.question); err != nil || !slices.Equal(got.ips, addrs("127.0.0.1")) {
		t.Errorf("got %v, %v, want 127.0.0.1", got.ips, err)
	}
}

// TestForged counts what of many forged answers is believed. Whoever forges knows
// the question but none of its random parts.
func TestForged(t *testing.T) {
	q := ask(t, form{id: true, mixed: true})
	real := message(t, q, 0, "a.test. 60 A 192.0.2.66")
	accepted := 0
	for range 1_000_000 {
		binary.BigEndian.PutUint16(real, uint16(rand.Uint32()))
		guess := real[headerSize : headerSize+len(q.section)-4]
		for i, c := range guess {
			if l := lower(c); 'a' <= l && l <= 'z' && rand.IntN(2) == 0 {
				guess[i] ^= 0x20
			}
		}
		if q.compare(real) == same {
			accepted++
		}
	}
	if limit := 10; accepted > limit { // 2 of 10^6 are expected with five letters
		t.Errorf("got %d forged answers accepted, want at most %d", accepted, limit)
	}
}
