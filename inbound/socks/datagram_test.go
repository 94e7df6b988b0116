package socks

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

func TestParseDatagram(t *testing.T) {
	for _, tc := range []struct {
		name    string
		wire    string
		target  string
		payload string
		err     error
	}{
		{"IPv4", "\x00\x00\x00\x01\xc0\x00\x02\x07\x00\x35hello", "192.0.2.7:53", "hello", nil},
		{"IPv6", "\x00\x00\x00\x04\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01\x00\x35hello", "[2001:db8::1]:53", "hello", nil},
		{"mapped IPv4", "\x00\x00\x00\x04" + strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x07\x00\x35x", "192.0.2.7:53", "x", nil},
		{"name", "\x00\x00\x00\x03\x0bexample.com\x01\xbbhello", "example.com:443", "hello", nil},
		{"IP literal as a name", "\x00\x00\x00\x03\x09127.0.0.1\x00\x35x", "127.0.0.1:53", "x", nil},
		{"empty payload", "\x00\x00\x00\x01\xc0\x00\x02\x07\x00\x35", "192.0.2.7:53", "", nil},
		{"longest name", "\x00\x00\x00\x03\xfd" + longName() + "\x00\x35x", longName() + ":53", "x", nil},

		{"empty", "", "", "", core.ErrMalformed},
		{"no fragment number", "\x00\x00", "", "", core.ErrMalformed},
		{"no address", "\x00\x00\x00", "", "", core.ErrMalformed},
		{"address cut", "\x00\x00\x00\x01\xc0\x00\x02\x07\x00", "", "", core.ErrMalformed},
		{"name cut", "\x00\x00\x00\x03\x0bexample.com\x01", "", "", core.ErrMalformed},
		{"reserved, first byte", "\x01\x00\x00\x01\xc0\x00\x02\x07\x00\x35x", "", "", core.ErrMalformed},
		{"reserved, second byte", "\x00\x80\x00\x01\xc0\x00\x02\x07\x00\x35x", "", "", core.ErrMalformed},
		{"first fragment", "\x00\x00\x01\x01\xc0\x00\x02\x07\x00\x35x", "", "", core.ErrDenied},
		{"last fragment", "\x00\x00\x81\x01\xc0\x00\x02\x07\x00\x35x", "", "", core.ErrDenied},
		{"address type 0", "\x00\x00\x00\x00\xc0\x00\x02\x07\x00\x35x", "", "", core.ErrAddrType},
		{"address type 2", "\x00\x00\x00\x02\xc0\x00\x02\x07\x00\x35x", "", "", core.ErrAddrType},
		{"address type with a flag", "\x00\x00\x00\x11\xc0\x00\x02\x07\x00\x35x", "", "", core.ErrAddrType},
		{"empty name", "\x00\x00\x00\x03\x00\x00\x35x", "", "", core.ErrMalformed},
		{"space in a name", "\x00\x00\x00\x03\x03a b\x00\x35x", "", "", core.ErrMalformed},
		{"port 0", "\x00\x00\x00\x01\xc0\x00\x02\x07\x00\x00x", "", "", core.ErrMalformed},
		{"port 0 of a name", "\x00\x00\x00\x03\x01a\x00\x00x", "", "", core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m memo
			for range 2 { // the second time from memory
				wire := []byte(tc.wire)
				p, err := m.parse(wire)
				if !errors.Is(err, tc.err) {
					t.Fatalf("got error %v, want %v", err, tc.err)
				}
				if err != nil {
					if p.Addr.IsValid() || p.Data != nil {
						t.Errorf("got %v beside the error %v", p, err)
					}
					continue
				}
				if p.Addr.String() != tc.target || string(p.Data) != tc.payload {
					t.Errorf("got %q to %v, want %q to %s", p.Data, p.Addr, tc.payload, tc.target)
				}
				if len(p.Data) > 0 && &p.Data[0] != &wire[len(wire)-len(p.Data)] {
					t.Error("the payload is a copy, want a part of the datagram")
				}
			}
		})
	}
}

// A known target costs no allocation, a name either.
func TestParseDatagramAllocates(t *testing.T) {
	var m memo
	wire := []byte("\x00\x00\x00\x03\x0bexample.com\x01\xbbhello")
	n := testing.AllocsPerRun(100, func() {
		if _, err := m.parse(wire); err != nil {
			t.Error(err)
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestAppendDatagram(t *testing.T) {
	for _, tc := range []struct{ source, want string }{
		{"192.0.2.7:53", "\x00\x00\x00\x01\xc0\x00\x02\x07\x00\x35hello"},
		{"[2001:db8::1]:53", "\x00\x00\x00\x04\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01\x00\x35hello"},
		{"example.com:443", "\x00\x00\x00\x03\x0bexample.com\x01\xbbhello"},
	} {
		t.Run(tc.source, func(t *testing.T) {
			source, err := core.ParseAddr(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := socksaddr.Datagram{}.AppendPacket([]byte("before"), []byte("hello"), source)
			if string(got) != "before"+tc.want || err != nil {
				t.Errorf("got %x, %v, want %x behind what was there", got, err, tc.want)
			}
			if n := (socksaddr.Datagram{}).Overhead(source); n != len(tc.want)-len("hello") {
				t.Errorf("overhead: got %d, want %d", n, len(tc.want)-len("hello"))
			}
		})
	}
}

// FuzzDatagram checks that what is read as a datagram is a sound target, and that
// it comes out the same after it was written.
func FuzzDatagram(f *testing.F) {
	for _, wire := range []string{
		"\x00\x00\x00\x01\xc0\x00\x02\x07\x00\x35hello",
		"\x00\x00\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x35",
		"\x00\x00\x00\x03\x0bexample.com\x01\xbbhello",
		"\x00\x00\x01\x01\xc0\x00\x02\x07\x00\x35x",
		"",
	} {
		f.Add([]byte(wire))
	}
	var m memo // of all inputs, as of all clients
	f.Fuzz(func(t *testing.T, wire []byte) {
		before := bytes.Clone(wire)
		p, err := m.parse(wire)
		if !bytes.Equal(wire, before) {
			t.Errorf("the datagram was changed: got %x, want %x", wire, before)
		}
		if err != nil {
			if !errors.Is(err, core.ErrMalformed) && !errors.Is(err, core.ErrDenied) || p.Addr.IsValid() || p.Data != nil {
				t.Errorf("got %v, %v, want nothing and ErrMalformed or ErrDenied", p, err)
			}
			return
		}
		if !p.Addr.IsValid() || p.Addr.Port() == 0 || !bytes.HasSuffix(wire, p.Data) {
			t.Fatalf("got %q to %v of %x", p.Data, p.Addr, wire)
		}
		again, err := socksaddr.Datagram{}.AppendPacket(nil, p.Data, p.Addr)
		if size := len(p.Data) + (socksaddr.Datagram{}).Overhead(p.Addr); err != nil || len(again) != size {
			t.Fatalf("written: got %d bytes, %v, want %d", len(again), err, size)
		}
		q, err := m.parse(again)
		if err != nil || q.Addr != p.Addr || !bytes.Equal(q.Data, p.Data) {
			t.Errorf("written and read: got %v, %v, want %v", q, err, p)
		}
	})
}
