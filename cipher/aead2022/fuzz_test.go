package aead2022

import (
	"bytes"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// FuzzAccept lets a server read arbitrary bytes. It must return them unchanged if they are
// not a request, send nothing, and never panic.
func FuzzAccept(f *testing.F) {
	for _, v := range streamVectors(f) {
		if v.Method == aes128 {
			f.Add([]byte(v.Request.Stream), uint16(20))
			f.Add([]byte(v.Response.Stream), uint16(0))
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n0123456789abcdef0123456789abcdef"), uint16(3))
	v := streamVectors(f)
	i := slices.IndexFunc(v, func(v streamVector) bool { return v.Method == aes128 })
	f.Fuzz(func(t *testing.T, wire []byte, cut uint16) {
		ciphertest.Probe(t, v[i].cipher(t), wire, cut, nil)
	})
}

// FuzzRequest lets a server read arbitrary headers sealed with the right key.
func FuzzRequest(f *testing.F) {
	f.Add(appendRequestHeader(nil, noon, 10), append(appendAddressing(nil, addr(f, "192.0.2.1:80"), nil), 'x'), true)
	f.Add(appendRequestHeader(nil, noon, 0xFFFF), []byte{}, false)
	f.Add(make([]byte, 11), []byte{3, 0}, true)
	s := settings()[1]
	f.Fuzz(func(t *testing.T, fixed, variable []byte, matching bool) {
		if len(fixed) != requestHeaderSize || len(variable) > 0xFFFF {
			return
		}
		c := fresh(t, s.spec, s.keys)
		at(c, noon)
		b := forgery{variable: variable, fixed: func(n int) []byte {
			if !matching {
				return fixed
			}
			return append(bytes.Clone(fixed[:9]), byte(n>>8), byte(n))
		}}.request(t, c)
		a, err := c.AcceptStream(&tape{reads: bytes.Clone(b)}, core.Caller{Addr: someone})
		if err != nil {
			if !bytes.Equal(a.Payload, b) {
				t.Errorf("%v: got %d other bytes back than the %d sent", err, len(a.Payload), len(b))
			}
			return
		}
		defer a.Stream.Close()
		target, payload, err := parseAddressing(variable)
		if err != nil || a.Target != target || !bytes.Equal(a.Payload, payload) {
			t.Errorf("accepted %x as %s, %x; the header says %s, %x, %v", variable, a.Target, a.Payload, target, payload, err)
		}
	})
}

// FuzzPacket lets a server and a client open arbitrary bytes, and those bytes sealed with
// the right key.
func FuzzPacket(f *testing.F) {
	for i := range settings() {
		for _, v := range packetVectors(f) {
			f.Add([]byte(v.Client.Packet), uint8(i), uint64(1))
			f.Add([]byte(v.Client.Body), uint8(i), uint64(0))
			f.Add([]byte(v.Server.Body), uint8(i), ^uint64(0))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8, packetID uint64) {
		if len(b) > core.MaxDatagram-100 {
			return
		}
		all := settings()
		p, server := pair(t, all[int(which)%len(all)])
		_, _ = server.Open(bytes.Clone(b), someone) // must not panic
		_, _, _ = p.OpenPacket(bytes.Clone(b))

		o, err := server.Open(forge(t, &p.sealer, packetID, b), someone)
		_, rest, wrong := parseClientHeader(b, noon)
		var target core.Addr
		var n int
		if wrong == nil {
			if target, n, wrong = socksaddr.Decode(rest); wrong == nil && target.Port() == 0 {
				wrong = core.ErrMalformed
			}
		}
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%x: got %v, the header says %v", b, err, wrong)
		}
		if err != nil {
			return
		}
		if o.Target != target || !bytes.Equal(o.Payload, rest[n:]) {
			t.Errorf("%x: got %x for %s, want %x for %s", b, o.Payload, o.Target, rest[n:], target)
		}
		r := o.Session.(*replies)
		payload, source, err := p.OpenPacket(forge(t, &r.sealer, packetID, append(appendServerHeader(nil, noon, p.sessionID, nil), rest...)))
		if err != nil || source != target || !bytes.Equal(payload, rest[n:]) {
			t.Errorf("reply %x: got %x from %s, %v", rest, payload, source, err)
		}
	})
}
