package dns

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core"
)

// FuzzReply checks that any message is read or refused, and that what is read is
// within the bounds.
func FuzzReply(f *testing.F) {
	q := query{question: question{"a.test", dns.TypeA}}
	q.wire = append(make([]byte, headerSize), 1, 'a', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1)
	q.section = q.wire[headerSize:]
	f.Add(raw(q, 1, []byte{0xC0, headerSize, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7})[headerSize+len(q.section):], uint16(1), uint16(0), byte(0))
	f.Add([]byte{0xC0, 26}, uint16(1), uint16(0), byte(3))
	f.Add([]byte{0xC0, headerSize, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xC0, headerSize}, uint16(1), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, after []byte, answers, authorities uint16, rcode byte) {
		msg := raw(q, int(answers), after)
		binary.BigEndian.PutUint16(msg[8:], authorities)
		msg[3] = msg[3]&0xF0 | rcode&0xF
		r, err := parseReply(msg, len(q.section))
		if err != nil {
			if !errors.Is(err, core.ErrMalformed) {
				t.Fatalf("got %v, want core.ErrMalformed", err)
			}
			return
		}
		if len(r.records) > maxRecords {
			t.Errorf("got %d records", len(r.records))
		}
		for _, rec := range r.records {
			if len(rec.name) > 4*255 || strings.ToLower(rec.name) != rec.name {
				t.Errorf("got the name %q", rec.name)
			}
		}
		a, err := r.read(q.question)
		if err != nil {
			return
		}
		if len(a.ips) > maxAddrs || a.chain > maxChain || (a.status == found && a.next == "") != (len(a.ips) > 0) {
			t.Errorf("got %+v", a)
		}
		for _, ip := range a.ips {
			if !ip.Is4() {
				t.Errorf("got %v for an A", ip)
			}
		}
	})
}
