package dns

import (
	"crypto/rand"
	"encoding/binary"
	"strings"

	"github.com/miekg/dns"
)

const (
	headerSize = 12      // RFC 1035 §4.1.1
	udpSize    = 1232    // advertised maximum of an answer: it passes every path unfragmented
	paddedTo   = 128     // RFC 8467 §4.1: encrypted queries are padded to a multiple of it
	maxMessage = 1 << 16 // RFC 1035 §4.2.2: a length of two bytes
)

// question asks for the addresses of one family of a name.
type question struct {
	name string // in lower case, without the trailing dot; odd bytes as \DDD, which a CNAME may have
	kind uint16 // dns.TypeA or dns.TypeAAAA
}

// form is the encoding of a question as a message.
type form struct {
	edns  bool // with an OPT record, RFC 6891
	pad   bool // to a multiple of 128 bytes, RFC 7830; needs edns
	mixed bool // random letter case, which the answer must match: 0x20
	id    bool // a random ID, which is 0 otherwise (RFC 8484 §4.1)
}

// query is a question with the message that is sent.
type query struct {
	question
	wire    []byte
	section []byte // the question section of wire
}

// newQuery encodes q in the form f.
func newQuery(q question, f form) (query, error) {
	var random [2 + 8*4]byte // the ID, and a bit for each byte of a name
	if _, err := rand.Read(random[:]); err != nil {
		return query{}, err
	}
	m := &dns.Msg{
		MsgHdr:   dns.MsgHdr{RecursionDesired: true},
		Question: []dns.Question{{Name: q.name + ".", Qtype: q.kind, Qclass: dns.ClassINET}},
	}
	if f.id {
		m.Id = binary.BigEndian.Uint16(random[:])
	}
	if f.mixed {
		m.Question[0].Name = mixCase(q.name, random[2:]) + "."
	}
	if f.edns {
		m.SetEdns0(udpSize, false)
	}
	if f.edns && f.pad {
		rest := (m.Len() + 4) % paddedTo // 4: code and length of the option
		opt := m.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, (paddedTo-rest)%paddedTo)})
	}
	wire, err := m.Pack()
	if err != nil {
		return query{}, err
	}
	end := headerSize
	for wire[end] != 0 {
		end += 1 + int(wire[end])
	}
	end += 1 + 4 // the last length; type; class
	return query{q, wire, wire[headerSize:end]}, nil
}

// mixCase returns name with the case of each letter set by a bit of random
// (draft-vixie-dnsext-dns0x20). A forger must guess these bits too.
func mixCase(name string, random []byte) string {
	return strings.Map(func() func(r rune) rune {
		i := -1
		return func(r rune) rune {
			i++
			if 'a' <= r && r <= 'z' && random[i/8%len(random)]>>(i%8)&1 == 1 {
				return r - 'a' + 'A'
			}
			return r
		}
	}(), name)
}

// likeness is the degree to which a message matches a query.
type likeness int

const (
	stranger likeness = iota // the message does not match
	folded                   // the message matches except for letter case
	same                     // the message matches
)

// compare reports whether msg answers q: by ID, question, type and class. An answer
// with an error code may have no question.
func (q query) compare(msg []byte) likeness {
	if len(msg) < headerSize || msg[0] != q.wire[0] || msg[1] != q.wire[1] {
		return stranger
	}
	const response, opcode = 0x80, 0x78
	if msg[2]&response == 0 || msg[2]&opcode != 0 {
		return stranger
	}
	if questions := binary.BigEndian.Uint16(msg[4:]); questions != 1 {
		if rcode := int(msg[3] & 0xF); questions == 0 && len(msg) == headerSize && rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError {
			return same
		}
		return stranger
	}
	if len(msg) < headerSize+len(q.section) {
		return stranger
	}
	got := msg[headerSize : headerSize+len(q.section)]
	exact := true
	for i, c := range got {
		if c == q.section[i] {
			continue
		}
		if lower(c) != lower(q.section[i]) || i >= len(q.section)-4 { // type and class have no case
			return stranger
		}
		exact = false
	}
	if !exact {
		return folded
	}
	return same
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
