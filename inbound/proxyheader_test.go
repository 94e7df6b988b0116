package inbound

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// headerVectors are testdata/proxy_protocol.json.
type headerVectors struct {
	Valid []struct {
		Name   string
		Bytes  hexBytes
		Length int
		Source *netip.AddrPort
	}
	Invalid []struct {
		Name  string
		Bytes hexBytes
	}
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readVectors(t testing.TB) (v headerVectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/proxy_protocol.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Valid) < 13 || len(v.Invalid) < 17 {
		t.Fatalf("got %d valid and %d invalid vectors", len(v.Valid), len(v.Invalid))
	}
	return v
}

// segments are ways in which bytes may come.
var segments = []struct {
	name string
	of   func(b []byte) io.Reader
}{
	{"in one segment", func(b []byte) io.Reader { return bytes.NewReader(b) }},
	{"byte by byte", func(b []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(b)) }},
	{"by halves", func(b []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(b)) }},
}

// source reads a whole header.
func source(r io.Reader) (netip.AddrPort, error) {
	header, err := readHeader(r)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return parseHeader(header)
}

// What follows a header is the client's, be it another header.
func TestHeaderValid(t *testing.T) {
	for _, v := range readVectors(t).Valid {
		var want netip.AddrPort
		if v.Source != nil {
			want = *v.Source
		}
		for _, payload := range []string{"", "\r\n", "payload", string(v.Bytes)} {
			for _, s := range segments {
				r := s.of(append(v.Bytes[:len(v.Bytes):len(v.Bytes)], payload...))
				if got, err := source(r); got != want || err != nil || len(v.Bytes) != v.Length {
					t.Errorf("%s, %s: got %v, %v, want %v", v.Name, s.name, got, err, want)
				}
				if rest, err := io.ReadAll(r); string(rest) != payload || err != nil {
					t.Errorf("%s, %s: got %q, %v behind it, want %q", v.Name, s.name, rest, err, payload)
				}
			}
		}
	}
}

func TestHeaderInvalid(t *testing.T) {
	for _, v := range readVectors(t).Invalid {
		for _, s := range segments {
			if got, err := source(s.of(append(v.Bytes[:len(v.Bytes):len(v.Bytes)], "payload\r\n"...))); got.IsValid() || !errors.Is(err, core.ErrMalformed) {
				t.Errorf("%s, %s: got %v, %v, want core.ErrMalformed", v.Name, s.name, got, err)
			}
		}
	}
}

func TestHeaderTruncated(t *testing.T) {
	for _, v := range readVectors(t).Valid {
		for n := range v.Bytes {
			want := core.ErrShort
			if n == 0 {
				want = io.EOF
			}
			for _, s := range segments {
				if got, err := source(s.of(v.Bytes[:n])); got.IsValid() || !errors.Is(err, want) || errors.Is(err, io.EOF) != (n == 0) {
					t.Errorf("%s, %d bytes %s: got %v, %v, want %v", v.Name, n, s.name, got, err, want)
				}
			}
		}
	}
}

// binaryHeader returns a header of version 2.
func binaryHeader(command, family byte, body ...byte) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

// Cases that the vectors do not have.
func TestHeaderMore(t *testing.T) {
	addresses := []byte{192, 0, 2, 1, 198, 51, 100, 7, 0xc3, 0x50, 1, 0xbb}
	with := func(tlvs ...byte) []byte { return append(addresses[:12:12], tlvs...) }
	noop := func(n int) []byte { return append([]byte{4, byte(n >> 8), byte(n)}, make([]byte, n)...) }
	client := "192.0.2.1:50000"
	for _, tc := range []struct {
		name   string
		header []byte
		source string // "" for none, "!" for a mistake
	}{
		{"as long as may be", binaryHeader(0x21, 0x11, with(noop(2048-12-3)...)...), client},
		{"too long", binaryHeader(0x21, 0x11, with(noop(2048-12-2)...)...), "!"},
		{"LOCAL, as long as may be", binaryHeader(0x20, 0, make([]byte, 2048)...), ""},
		{"LOCAL, too long", binaryHeader(0x20, 0, make([]byte, 2049)...), "!"},
		{"LOCAL with half an address", binaryHeader(0x20, 0x11, 192, 0), ""},
		{"LOCAL of no family", binaryHeader(0x20, 0x51), "!"},
		{"unspecified family with a body", binaryHeader(0x21, 0, 1, 2, 3), ""},
		{"datagrams of IPv4", binaryHeader(0x21, 0x12, addresses...), "!"},
		{"datagrams of IPv6", binaryHeader(0x21, 0x22, make([]byte, 36)...), "!"},
		{"datagrams of Unix", binaryHeader(0x21, 0x32, make([]byte, 216)...), "!"},
		{"mapped address", binaryHeader(0x21, 0x21, append(append(mapped(192, 0, 2, 1), mapped(198, 51, 100, 7)...), 0xc3, 0x50, 1, 0xbb)...), client},
		{"no address", binaryHeader(0x21, 0x11, make([]byte, 12)...), ""},
		{"no mapped address", binaryHeader(0x21, 0x21, append(append(mapped(0, 0, 0, 0), mapped(198, 51, 100, 7)...), 0, 80, 1, 0xbb)...), ""},
		{"half a TLV", binaryHeader(0x21, 0x11, with(4, 0)...), "!"},
		{"empty TLV", binaryHeader(0x21, 0x11, with(0xe0, 0, 0)...), client},
		{"short checksum", binaryHeader(0x21, 0x11, with(3, 0, 2, 0, 0)...), "!"},
		{"line without fields", []byte("PROXY \r\n"), "!"},
		{"line of another family", []byte("PROXY UDP4 192.0.2.1 198.51.100.7 50000 443\r\n"), "!"},
		{"line with a field too many", []byte("PROXY TCP4 192.0.2.1 198.51.100.7 50000 443 1\r\n"), "!"},
		{"shortest line of IPv6", []byte("PROXY TCP6 ::1 :: 0 0\r\n"), "[::1]:0"},
		{"longest line of IPv6", []byte("PROXY TCP6 " + strings.Repeat("2001:0db8:0000:0000:0000:0000:0000:0001 ", 2) + "65535 65535\r\n"), "[2001:db8::1]:65535"},
		{"zone", []byte("PROXY TCP6 fe80::1%eth0 :: 1 2\r\n"), "!"},
		{"carriage return inside", []byte("PROXY TCP4 192.0.2.1\r198.51.100.7 50000 443\r\n"), "!"},
		{"greeting of TLS", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "!"},
		{"request of HTTP", []byte("POST / HTTP/1.1\r\n\r\n"), "!"},
	} {
		for _, s := range segments {
			r := s.of(append(tc.header[:len(tc.header):len(tc.header)], "rest"...))
			got, err := source(r)
			text := "!"
			if err == nil {
				if text = ""; got.IsValid() {
					text = got.String()
				}
			} else if !errors.Is(err, core.ErrMalformed) {
				t.Errorf("%s, %s: got %v, want core.ErrMalformed", tc.name, s.name, err)
			}
			if text != tc.source {
				t.Errorf("%s, %s: got %q, %v, want %q", tc.name, s.name, text, err, tc.source)
			}
			if rest, _ := io.ReadAll(r); err == nil && string(rest) != "rest" {
				t.Errorf("%s, %s: got %q behind it, want rest", tc.name, s.name, rest)
			}
		}
	}
}

func mapped(a, b, c, d byte) []byte {
	return append(append(make([]byte, 10), 0xff, 0xff), a, b, c, d)
}

// Every damaged byte of a header with a checksum is noticed, but in what then names
// no client or is no version 2.
func TestHeaderChecksum(t *testing.T) {
	for _, v := range readVectors(t).Valid {
		if v.Name != "v2 tcp4 with good CRC-32c" {
			continue
		}
		for i := range v.Bytes {
			for bit := range 8 {
				bad := bytes.Clone(v.Bytes)
				bad[i] ^= 1 << bit
				if got, err := source(bytes.NewReader(bad)); err == nil && got.IsValid() && !(i == 28 || i == 29 || i == 30) {
					t.Errorf("bit %d of byte %d: got %v, want an error or no client", bit, i, got)
				}
			}
		}
		twice := append(bytes.Clone(v.Bytes), v.Bytes[28:]...)
		twice[15] += 7
		if got, err := source(bytes.NewReader(twice)); !errors.Is(err, core.ErrMalformed) {
			t.Errorf("two checksums: got %v, %v, want core.ErrMalformed", got, err)
		}
		return
	}
	t.Error("no vector has a checksum")
}

// A header that comes slowly has no more time than one that does not come.
func TestHeaderTimeout(t *testing.T) {
	const timeout = 5 * time.Second
	line := "PROXY TCP4 192.0.2.1 198.51.100.7 50000 443\r\n"
	for _, tc := range []struct {
		name  string
		pause time.Duration // before each byte
		ok    bool
	}{
		{"nothing", time.Minute, false},
		{"slow", time.Second, false},
		{"in time", timeout / 50, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := coretest.Pipe()
				defer far.Close()
				var writing sync.WaitGroup
				defer writing.Wait()
				defer near.Close()
				writing.Go(func() {
					for i := range line {
						time.Sleep(tc.pause)
						if _, err := far.Write([]byte{line[i]}); err != nil {
							return
						}
					}
				})
				began := time.Now()
				_ = near.SetDeadline(began.Add(timeout))
				_, err := new(front).ReadClient(near)
				switch took := time.Since(began); {
				case tc.ok && err != nil:
					t.Errorf("got %v after %s, want a client", err, took)
				case !tc.ok && (!errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, core.ErrShort) || took != timeout):
					t.Errorf("got %v after %s, want core.ErrShort and the deadline after %s", err, took, timeout)
				}
			})
		})
	}
}
