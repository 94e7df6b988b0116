package dns

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestNewQuery checks what is sent.
func TestNewQuery(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 61)+".", 4) + "abcde"
	for _, name := range []string{"a", "a.test", "xn--bcher-kva.example", "_dns.a-b.test", long} {
		for _, f := range []form{{}, {id: true}, {id: true, mixed: true, edns: true}, {id: true, edns: true, pad: true}} {
			q, err := newQuery(question{name, dns.TypeAAAA}, f)
			if err != nil {
				t.Fatalf("%s, %+v: %v", name, f, err)
			}
			var m dns.Msg
			if err := m.Unpack(q.wire); err != nil {
				t.Fatal(err)
			}
			asked := m.Question[0]
			if !m.RecursionDesired || m.Response || len(m.Question) != 1 || asked.Qtype != dns.TypeAAAA || asked.Qclass != dns.ClassINET || !strings.EqualFold(asked.Name, name+".") {
				t.Errorf("%s, %+v: got %v", name, f, &m)
			}
			if !f.id && m.Id != 0 || !f.mixed && asked.Name != name+"." {
				t.Errorf("%s, %+v: got the ID %d and the name %s", name, f, m.Id, asked.Name)
			}
			opt := m.IsEdns0()
			if (opt != nil) != f.edns || opt != nil && (opt.UDPSize() != udpSize || opt.Do()) {
				t.Errorf("%s, %+v: got EDNS %v", name, f, opt)
			}
			if f.pad && len(q.wire)%paddedTo != 0 {
				t.Errorf("%s, %+v: got %d bytes, want a multiple of %d", name, f, len(q.wire), paddedTo)
			}
			if section := q.wire[headerSize : headerSize+len(q.section)]; !bytes.Equal(section, q.section) || len(q.section) != len(name)+6 {
				t.Errorf("%s, %+v: got the section %x", name, f, q.section)
			}
		}
	}
}

// TestRandom checks that IDs and cases differ from query to query.
func TestRandom(t *testing.T) {
	ids, names := map[[2]byte]bool{}, map[string]bool{}
	for range 1000 {
		q, err := newQuery(question{"abcdefghijklmnopqrst.test", dns.TypeA}, form{id: true, mixed: true})
		if err != nil {
			t.Fatal(err)
		}
		ids[[2]byte(q.wire)], names[string(q.section)] = true, true
	}
	if len(ids) < 950 || len(names) < 950 { // 992 IDs are expected
		t.Errorf("got %d IDs and %d forms of the name of 1000", len(ids), len(names))
	}
}

func TestCompare(t *testing.T) {
	q := ask(t, form{id: true, mixed: true})
	for !bytes.ContainsAny(q.section[:len(q.section)-4], "TESA") {
		q = ask(t, form{id: true, mixed: true})
	}
	good := message(t, q, 0, "a.test. 60 A 192.0.2.7")
	with := func(change func(b []byte)) []byte {
		b := slices.Clone(good)
		change(b)
		return b
	}
	section := headerSize + len(q.section)
	for _, tc := range []struct {
		name string
		msg  []byte
		want likeness
	}{
		{"the answer", good, same},
		{"nothing", nil, stranger},
		{"half a header", good[:11], stranger},
		{"cut in the question", good[:section-1], stranger},
		{"another ID", with(func(b []byte) { b[1]++ }), stranger},
		{"a query", with(func(b []byte) { b[2] &^= 0x80 }), stranger},
		{"another opcode", with(func(b []byte) { b[2] |= 0x10 }), stranger},
		{"no question", with(func(b []byte) { b[5] = 0 }), stranger},
		{"two questions", with(func(b []byte) { b[5] = 2 }), stranger},
		{"another name", with(func(b []byte) { b[headerSize+1] ^= 1 }), stranger},
		{"another type", with(func(b []byte) { b[section-3] = 28 }), stranger},
		{"another class", with(func(b []byte) { b[section-1] = 3 }), stranger},
		{"in lower case", with(func(b []byte) { copy(b[headerSize:], bytes.ToLower(q.section)) }), folded},
		{"a header alone, refused", with(func(b []byte) { b[3], b[5] = 5, 0 })[:headerSize], same},
		{"a header alone, success", with(func(b []byte) { b[3], b[5] = 0, 0 })[:headerSize], stranger},
		{"a header alone, no such name", with(func(b []byte) { b[3], b[5] = 3, 0 })[:headerSize], stranger},
	} {
		if got := q.compare(tc.msg); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}
