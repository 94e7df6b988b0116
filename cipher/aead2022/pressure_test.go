package aead2022

import (
	"bytes"
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// TestLongChunksUnderPressure reads the longest chunks while all big buffers are borrowed, so
// that small ones must be used.
func TestLongChunksUnderPressure(t *testing.T) {
	var held []*netio.Buffer
	for range 256 {
		held = append(held, netio.BorrowBuffer())
	}
	defer func() {
		for _, b := range held {
			b.Return()
		}
	}()
	s := specOf(t, aes256)
	c := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}})
	payload := coretest.Pattern(0xFFFF, 1)
	variable := append(appendAddressing(nil, addr(t, "192.0.2.1:80"), nil), payload[:60_000]...)
	f := forgery{variable: variable, after: func(box *chunk.Box) []byte {
		b := make([]byte, 3*(chunkHead+0xFFFF+tagSize))
		n := box.SealChunk(b, 0, payload)
		n = box.SealChunk(b, n, payload[:10])
		return b[:box.SealChunk(b, n, payload)]
	}}
	want := bytes.Join([][]byte{payload[:60_000], payload, payload[:10], payload}, nil)
	_, got := accepts(t, c, f.request(t, c))
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	a, err := c.AcceptStream(&tape{reads: f.request(t, c)}, core.Caller{Addr: someone})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stream.Close()
	sink := &tape{}
	sink.wrote = append(sink.wrote, bytes.Clone(a.Payload))
	for err == nil {
		_, err = a.Stream.(core.BurstWriter).WriteBurst(sink)
	}
	if err != io.EOF || !bytes.Equal(sink.all(), want) {
		t.Errorf("bursts: got %d bytes, %v, want %d", len(sink.all()), err, len(want))
	}
}
