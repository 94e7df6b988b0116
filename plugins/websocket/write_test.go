package websocket

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// Write leaves its argument alone, whatever the role and the size.
func TestWriteChangesNothing(t *testing.T) {
	for _, size := range []int{1, 100, copied, copied + 1, 16 << 10, 200_000, 1 << 20} {
		c, s := established(t)
		for _, dir := range []struct{ from, to core.Stream }{{c, s}, {s, c}} {
			want := coretest.Pattern(size, 1)
			p := slices.Clone(want)
			coretest.Together(func() { coretest.Write(t, dir.from, p) }, func() { coretest.Read(t, dir.to, want) })
			if !bytes.Equal(p, want) {
				t.Errorf("%d bytes: Write changed its argument", size)
			}
		}
		c.Close()
		s.Close()
	}
	if n := netio.BuffersOut(); n != 0 {
		t.Errorf("%d buffers were not returned", n)
	}
}

// The vectors of a cipher arrive whole, however many pieces they have.
func TestWriteVector(t *testing.T) {
	whole := coretest.Pattern(300_000, 1)
	many := [][]byte{}
	for p := range slices.Chunk(whole[:40_000], 1000) {
		many = append(many, p)
	}
	for name, vector := range map[string][][]byte{
		"none": nil, "empty": {nil, {}}, "one": {whole[:10]}, "empty among others": {whole[:10], nil, whole[10:20]},
		"large": {whole[:16384], whole[16384:100_000], whole[100_000:]}, "many": many,
	} {
		t.Run(name, func(t *testing.T) {
			c, s := established(t)
			for _, dir := range []struct{ from, to core.Stream }{{c, s}, {s, c}} {
				want, own := bytes.Join(vector, nil), make([][]byte, len(vector))
				for i, p := range vector {
					own[i] = bytes.Clone(p)
				}
				coretest.Together(func() {
					if n, err := dir.from.(core.VectorWriter).WriteVector(own); n != len(want) || err != nil {
						t.Errorf("got %d, %v, want %d", n, err, len(want))
					}
				}, func() { coretest.Read(t, dir.to, want) })
			}
			c.Close()
			s.Close()
		})
	}
}

// A ping that comes while a write waits for the peer is answered behind that write, not in
// the middle of its frame, and of several only the last.
func TestPongBehindAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := raw(t, server)
		data := coretest.Pattern(100_000, 1)
		done := make(chan struct{})
		go func() { defer close(done); coretest.Write(t, s, data) }()
		synctest.Wait() // the write has filled the wire
		coretest.Write(t, peer, slices.Concat(frame(server, true, opPing, "one"), frame(server, true, opPing, "two"), frame(server, true, opBinary, "x")))
		coretest.Read(t, s, []byte("x"))
		go func() { <-done; s.Close() }()
		if got, want := sent(t, server, peer), []string{"binary " + string(data), "pong two", "close 1000"}; !slices.Equal(got, want) {
			t.Errorf("got %d frames, want the data, the last pong and the end", len(got))
		}
	})
}

// What either side sends after the other has ended arrives, and the wire's FIN follows when
// both have.
func TestHalfClose(t *testing.T) {
	for _, first := range []role{client, server} {
		c, s := established(t)
		a, b := c, s
		if first == server {
			a, b = s, c
		}
		coretest.CloseWrite(t, a)
		coretest.ReadAll(t, b, nil)
		coretest.Write(t, b, []byte("answer"))
		coretest.Read(t, a, []byte("answer"))
		coretest.CloseWrite(t, b)
		coretest.ReadAll(t, a, nil)
		for _, end := range []core.Stream{a, b} {
			wire := end.(*stream).Stream
			if n, err := wire.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("the wire: got %d, %v, want its end", n, err)
			}
			end.Close()
		}
	}
}

// A reset is no end: the peer of a stream that is aborted reads an error.
func TestAbort(t *testing.T) {
	c, s := established(t)
	s.(core.Aborter).Abort()
	s.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("got %d, %v, want an error that is not the end", n, err)
	}
	c.Close()
}

// A drain ends a stream after its deadline: the Close frame is sent all the same.
func TestCloseWriteAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := raw(t, server)
		_ = s.SetDeadline(time.Now())
		coretest.CloseWrite(t, s)
		s.Close()
		if got := strings.Join(sent(t, server, peer), ", "); got != "close 1000" {
			t.Errorf("got %q, want a Close frame", got)
		}
	})
}

// Close waits a second at most for a peer that reads nothing.
func TestCloseOfAFullWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := raw(t, client)
		_ = s.SetWriteDeadline(time.Now().Add(time.Second)) // passes in the middle of a frame
		if _, err := s.Write(make([]byte, 100_000)); err == nil {
			t.Error("got nil, want a timeout")
		}
		began := time.Now()
		s.Close()
		if took := time.Since(began); took > closeTimeout {
			t.Errorf("took %s", took)
		}
		wire, _ := io.ReadAll(peer)
		if strings.Contains(string(wire), string([]byte{0x88, 0x82})) {
			t.Error("a Close frame was sent in the middle of a frame")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, _ := raw(t, server)
		// The wire is full to the byte, behind a whole frame.
		if _, err := s.Write(make([]byte, 64<<10-4)); err != nil {
			t.Error(err)
		}
		began := time.Now()
		s.Close()
		if took := time.Since(began); took != closeTimeout {
			t.Errorf("took %s, want %s", took, closeTimeout)
		}
		if _, err := s.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), net.ErrClosed.Error()) {
			t.Errorf("write: got %v, want net.ErrClosed", err)
		}
	})
}
