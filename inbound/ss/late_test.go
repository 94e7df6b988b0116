package ss

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/inbound"
)

// TestRefusedLate has requests refused after their handshake: what another node has
// received, and what a method that proves nothing took for a request, end as noise
// does, in silence at the deadline, whether the chain waits for first bytes or not.
// Others end at once, with a mark for those who hold the key. No buffer is kept.
func TestRefusedLate(t *testing.T) {
	old := stream.Specs()[0]
	for _, tc := range []struct {
		name    string
		cipher  func(testing.TB) core.Cipher
		err     error
		payload int
		wait    time.Duration
		took    time.Duration
		marked  bool // the answer is marked as incomplete
	}{
		{"recording", func(t testing.TB) core.Cipher { return newCipher(t) }, &core.Refusal{Err: core.ErrReplay}, 3000, 0, timeout, false},
		{"recording, first bytes awaited", func(t testing.TB) core.Cipher { return newCipher(t) }, &core.Refusal{Err: core.ErrReplay}, 0, 50 * time.Millisecond, timeout, false},
		{"noise of an old method", func(t testing.TB) core.Cipher { return oldCipher(t, old)() }, errors.New("refused"), 100, 0, timeout, false},
		{"noise, first bytes awaited", func(t testing.TB) core.Cipher { return oldCipher(t, old)() }, errors.New("refused"), 0, 50 * time.Millisecond, timeout, false},
		{"target away", func(t testing.TB) core.Cipher { return newCipher(t) }, errors.New("refused"), 100, 0, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, out := newServer(t, tc.cipher(t), inbound.Rejection{}), netio.BuffersOut()
				d := &coretest.Dialer{Wait: tc.wait, Stream: func(context.Context, *core.Request) (core.Stream, error) { return nil, tc.err }}
				p := pipeline.New(pipeline.Config{Log: slog.New(slog.DiscardHandler), Dialer: d, DialTimeout: time.Second, IdleTimeout: time.Hour})
				client, conn := coretest.Pipe()
				defer client.Close()
				began := time.Now()
				_ = conn.SetDeadline(began.Add(timeout))
				if _, err := client.Write(hello(t, tc.cipher(t), strings.Repeat("x", tc.payload))); err != nil {
					t.Fatal(err)
				}
				var asked coretest.Asked
				if err := s.Handshake(t.Context(), conn, core.Client{}, &asked); err != nil {
					t.Fatal(err)
				}
				r := asked.Request
				r.Flow = new(core.Flow)
				_ = conn.SetDeadline(time.Time{})
				go p.HandleStream(t.Context(), r, asked.Pending, nil)
				said, err := io.ReadAll(client)
				if took := time.Since(began); len(said) > 0 != tc.marked || err != nil || took != tc.took {
					t.Errorf("got %d bytes and %v after %s, want FIN after %s, behind a mark: %t", len(said), err, took, tc.took, tc.marked)
				}
				client.Close()
				synctest.Wait()
				s.Shutdown(t.Context())
				if n := netio.BuffersOut() - out; n != 0 {
					t.Errorf("%d buffers are out", n)
				}
			})
		})
	}
}
