package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core"
)

const (
	maxPointers = 16  // in one name
	maxRecords  = 512 // in one message
)

// reply is the part of a message that the resolver uses.
type reply struct {
	rcode         int
	truncated     bool
	authoritative bool
	records       []record // of the answer section: A, AAAA and CNAME
	soa           *soa     // of the authority section
	referral      bool     // the authority section has name servers
}

// record is one record of a name.
type record struct {
	name   string // in lower case, without the trailing dot
	kind   uint16
	ttl    uint32
	ip     netip.Addr // of A and AAAA
	target string     // of CNAME, as name
}

// soa is the record that limits the lifetime of a negative answer (RFC 2308 §5).
type soa struct {
	name         string
	ttl, minimum uint32
}

// parseReply parses a message whose question section has the given size, or which
// consists of a header only. Records of other types, other classes and the additional
// section are ignored. Its error wraps core.ErrMalformed. The reply shares no memory
// with msg.
func parseReply(msg []byte, section int) (reply, error) {
	r := reply{
		rcode:         int(msg[3] & 0xF),
		authoritative: msg[2]&0x04 != 0,
		truncated:     msg[2]&0x02 != 0,
	}
	if r.truncated || len(msg) == headerSize {
		return r, nil
	}
	p := parser{msg: msg, off: headerSize + section}
	answers, authorities := binary.BigEndian.Uint16(msg[6:]), binary.BigEndian.Uint16(msg[8:])
	if int(answers)+int(authorities) > maxRecords {
		return reply{}, fmt.Errorf("%w: %d records, more than %d", core.ErrMalformed, int(answers)+int(authorities), maxRecords)
	}
	for range answers {
		if err := p.answer(&r); err != nil {
			return reply{}, fmt.Errorf("answer: %w", err)
		}
	}
	for range authorities {
		if err := p.authority(&r); err != nil {
			return reply{}, fmt.Errorf("authority: %w", err)
		}
	}
	return r, nil
}

// parser parses the records of a message in order.
type parser struct {
	msg []byte
	off int
}

// header is the fixed part of a record.
type header struct {
	name string
	kind uint16
	ttl  uint32
	data int // offset of the record's data
	size int // of the data, in bytes
}

// header parses the header of a record and advances to the next record. ok is false
// for a record of a class other than IN.
func (p *parser) header() (h header, ok bool, err error) {
	if h.name, p.off, err = p.name(p.off); err != nil {
		return h, false, err
	}
	if len(p.msg)-p.off < 10 {
		return h, false, fmt.Errorf("%w: message ends within a record", core.ErrMalformed)
	}
	fixed := p.msg[p.off:]
	h.kind = binary.BigEndian.Uint16(fixed)
	class := binary.BigEndian.Uint16(fixed[2:])
	h.ttl = binary.BigEndian.Uint32(fixed[4:])
	h.size = int(binary.BigEndian.Uint16(fixed[8:]))
	h.data = p.off + 10
	if p.off = h.data + h.size; p.off > len(p.msg) {
		return h, false, fmt.Errorf("%w: message ends within a record", core.ErrMalformed)
	}
	return h, class == dns.ClassINET, nil
}

// answer reads a record of the answer section into r.
func (p *parser) answer(r *reply) error {
	h, ok, err := p.header()
	if err != nil || !ok {
		return err
	}
	rec := record{name: h.name, kind: h.kind, ttl: h.ttl}
	switch h.kind {
	case dns.TypeA, dns.TypeAAAA:
		rec.ip, ok = netip.AddrFromSlice(p.msg[h.data:p.off])
		if !ok || rec.ip.Is4() != (h.kind == dns.TypeA) {
			return fmt.Errorf("%w: address of %d bytes", core.ErrMalformed, h.size)
		}
		rec.ip = rec.ip.Unmap()
	case dns.TypeCNAME:
		target, end, err := p.name(h.data)
		if err != nil {
			return err
		}
		if end != p.off {
			return fmt.Errorf("%w: size of a CNAME record differs from its name", core.ErrMalformed)
		}
		rec.target = target
	default:
		return nil
	}
	r.records = append(r.records, rec)
	return nil
}

// authority reads a record of the authority section into r.
func (p *parser) authority(r *reply) error {
	h, ok, err := p.header()
	if err != nil || !ok {
		return err
	}
	switch h.kind {
	case dns.TypeNS:
		r.referral = true
	case dns.TypeSOA:
		at := h.data
		for range 2 { // the server's name and the mailbox
			if _, at, err = p.name(at); err != nil {
				return err
			}
		}
		if p.off-at != 20 {
			return fmt.Errorf("%w: size of a SOA record differs from its fields", core.ErrMalformed)
		}
		r.soa = &soa{h.name, h.ttl, binary.BigEndian.Uint32(p.msg[at+16:])}
	}
	return nil
}

// name returns the name at an offset, in lower case and without the trailing dot, and
// the offset of its end. Each pointer must point to a lower offset than the one before,
// which excludes loops.
func (p *parser) name(at int) (string, int, error) {
	if err := p.checkPointers(at); err != nil {
		return "", 0, err
	}
	name, end, err := dns.UnpackDomainName(p.msg, at)
	if err != nil {
		return "", 0, fmt.Errorf("%w: name: %w", core.ErrMalformed, err)
	}
	return strings.TrimSuffix(dns.CanonicalName(name), "."), end, nil
}

func (p *parser) checkPointers(at int) error {
	limit := at // pointers must point below it
	for pointers := 0; at < len(p.msg); {
		switch size := int(p.msg[at]); {
		case size == 0:
			return nil
		case size < 0x40:
			at += 1 + size
		case size < 0xC0 || at+1 == len(p.msg):
			return fmt.Errorf("%w: label of an unknown type", core.ErrMalformed)
		default:
			to := size&0x3F<<8 | int(p.msg[at+1])
			if pointers++; to >= limit || pointers > maxPointers {
				return fmt.Errorf("%w: name with a pointer that does not point backwards", core.ErrMalformed)
			}
			at, limit = to, to
		}
	}
	return fmt.Errorf("%w: message ends within a name", core.ErrMalformed)
}

// Responses without a usable answer.
var (
	errServer = errors.New("server failure")
	errLame   = errors.New("server refers to other servers")
)

// rcodeError returns the error for a response code other than NOERROR and NXDOMAIN.
func rcodeError(rcode int) error {
	text, ok := dns.RcodeToString[rcode]
	if !ok {
		text = fmt.Sprintf("response code %d", rcode)
	}
	return fmt.Errorf("%w: %s", errServer, text)
}
