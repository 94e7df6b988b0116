package inbound

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/umbra-proxy/umbra/core"
)

// FuzzHeader checks that a header means the same however it comes, and that nothing
// behind it is taken.
func FuzzHeader(f *testing.F) {
	for _, v := range readVectors(f).Valid {
		f.Add([]byte(v.Bytes))
	}
	for _, v := range readVectors(f).Invalid {
		f.Add([]byte(v.Bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, pieces := bytes.NewReader(b), bytes.NewReader(b)
		got, err := source(whole)
		again, err2 := source(iotest.OneByteReader(pieces))
		if got != again || (err == nil) != (err2 == nil) || err == nil && whole.Len() != pieces.Len() {
			t.Fatalf("got %v, %v with %d bytes left, and byte by byte %v, %v with %d", got, err, whole.Len(), again, err2, pieces.Len())
		}
		if err != nil {
			if got.IsValid() || !errors.Is(err, core.ErrMalformed) && !errors.Is(err, core.ErrShort) && (err != io.EOF || len(b) > 0) {
				t.Fatalf("got %v, %v, want core.ErrMalformed, core.ErrShort or io.EOF", got, err)
			}
			return
		}
		if got.Addr().Is4In6() || got.Addr().Zone() != "" || got.Addr().IsValid() && got.Addr().IsUnspecified() {
			t.Fatalf("got %v, want a plain address", got)
		}
		header := b[:len(b)-whole.Len()]
		if isVersion1(header) && (len(header) > longestLine || bytes.IndexByte(header, '\n') != len(header)-1) {
			t.Fatalf("took %q for a line", header)
		}
		if isVersion2(header) && len(header) != fixedPart+int(binary.BigEndian.Uint16(header[14:])) {
			t.Fatalf("took %d bytes for the header %x", len(header), header)
		}
	})
}

func BenchmarkHeader(b *testing.B) {
	for _, v := range readVectors(b).Valid {
		if !strings.HasSuffix(v.Name, "tcp4") && !strings.HasSuffix(v.Name, "tcp6") {
			continue
		}
		b.Run(v.Name, func(b *testing.B) {
			near, far := tcpPair(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := far.Write(v.Bytes); err != nil {
					b.Fatal(err)
				}
				if _, err := new(front).ReadClient(near); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// tcpPair returns both ends of a TCP connection.
func tcpPair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	near, err = l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}
