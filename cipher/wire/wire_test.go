package wire_test

import (
	"errors"
	"io"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/cipher/wire"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A stream must not expose its wire's Read and Write by embedding.
func TestConnHidesBytes(t *testing.T) {
	near, far := coretest.Pipe()
	defer near.Close()
	defer far.Close()
	c := wire.Over(near)
	if _, ok := any(c).(io.Reader); ok {
		t.Error("Conn has Read")
	}
	if _, ok := any(c).(io.Writer); ok {
		t.Error("Conn has Write")
	}
	if c.NetConn() != near || c.LocalAddr() != near.LocalAddr() || c.RemoteAddr() != near.RemoteAddr() {
		t.Error("NetConn is not the wire")
	}
}

// Close releases at once if no call is running, and otherwise at the end of the call.
func TestLock(t *testing.T) {
	released := 0
	release := func() { released++ }
	var free wire.Lock
	free.Lock()
	free.Unlock(release)
	if released != 0 {
		t.Error("released without Close")
	}
	if free.Close(release); released != 1 {
		t.Errorf("Close released %d times, want once", released)
	}
	released = 0
	var used wire.Lock
	used.Lock()
	if used.Close(release); released != 0 {
		t.Error("released during a call")
	}
	if used.Unlock(release); released != 1 {
		t.Errorf("the end of the call released %d times, want once", released)
	}
}

// short is a wire that accepts a limited number of bytes per write.
type short struct {
	core.Stream
	most int
	err  error
}

func (s short) Write(p []byte) (int, error) { return min(len(p), s.most), s.err }
func (s short) CloseWrite() error           { return nil }

func TestSender(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		wire short
		want error
	}{
		{"whole", short{most: 5}, nil},
		{"short", short{most: 4}, io.ErrShortWrite},
		{"failed", short{most: 2, err: broken}, broken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			one, several := wire.Sender{Wire: tc.wire}, wire.Sender{Wire: tc.wire}
			buf := netio.BorrowSmallBuffer()
			defer buf.Return()
			buf.Pieces = append(buf.Pieces[:0], []byte("hello"))
			n, err := several.SendPieces(buf, 5)
			if !errors.Is(err, tc.want) || n != tc.wire.most {
				t.Errorf("pieces: got %d, %v, want %d, %v", n, err, tc.wire.most, tc.want)
			}
			if err := one.Send([]byte("hello")); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			for _, s := range []*wire.Sender{&one, &several} {
				if err := s.Ready(); !errors.Is(err, tc.want) {
					t.Errorf("afterwards: got %v, want %v", err, tc.want)
				}
				if err := s.Send(nil); err != nil {
					t.Errorf("nothing: got %v, want nil", err)
				}
				if err := s.CloseWrite(); err != nil || s.Ready() == nil {
					t.Errorf("after CloseWrite: got %v, and ready %t", err, s.Ready() == nil)
				}
			}
		})
	}
}
