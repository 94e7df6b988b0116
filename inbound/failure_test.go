package inbound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/inbound"
)

// failing makes the server's handshakes read four bytes and fail with err.
func failing(err error) func(*testServer, *inbound.ServerConfig) {
	return func(_ *testServer, cfg *inbound.ServerConfig) {
		cfg.Handshake = func(_ context.Context, conn core.Stream, _ core.Client, _ inbound.Requests) error {
			if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
				return err
			}
			return err
		}
	}
}

// The line of a failed handshake says who and why, for each error that there is.
func TestServerLogsReason(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("length: %w", core.ErrAuth), "reason=auth"},
		{core.ErrIdentity, "reason=identity"},
		{core.ErrReplay, "reason=replay"},
		{core.ErrShort, "reason=short"},
		{os.ErrDeadlineExceeded, "reason=short"},
		{core.ErrAddrType, "reason=malformed"},
		{core.Authenticated(core.ErrMalformed), "reason=malformed authenticated=true"},
		{core.Authenticated(core.ErrClock), "reason=clock authenticated=true"},
		{core.ErrDenied, "reason=denied"},
		{core.ErrCrowded, "reason=crowded"},
		{errors.New("something else"), "reason=other"},
	} {
		t.Run(tc.err.Error(), func(t *testing.T) {
			s := startServer(t, failing(tc.err))
			c := s.dial(t, "junk")
			s.h.WaitEnds(t, 1)
			s.drop(t)
			line := strings.Join(s.lines.With("level=WARN", `msg="handshake failed"`), "")
			head := "client=" + c.LocalAddr().String() + " " + tc.want + " "
			if !strings.Contains(line, head) || !strings.Contains(line, tc.err.Error()) {
				t.Errorf("got %q, want in it %q and the error", line, head)
			}
			if has := strings.Contains(line, " bytes=4 "); has != (runtime.GOOS == "linux") {
				t.Errorf("got %q, want in it bytes=4 where the kernel tells", line)
			}
			if strings.Contains(line, "suppressed") {
				t.Errorf("got %q, want none suppressed", line)
			}
		})
	}
}

// The end of the client's bytes is not counted as one of them.
func TestServerLogsBytes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel is asked on Linux alone")
	}
	s := startServer(t, failing(nil))
	c := s.dial(t, "abc")
	coretest.CloseWrite(t, c)
	s.h.WaitEnds(t, 1)
	s.drop(t)
	if got := s.lines.With("reason=short", " bytes=3 "); len(got) != 1 {
		t.Errorf("got %q, want one line with reason=short bytes=3", s.lines.With(""))
	}
}

// A Suspect is an address and a port to handlers that know nothing of it.
func TestSuspect(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(io.Writer) slog.Handler
		want string
	}{
		{"text", func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }, "client=192.0.2.1:4711\n"},
		{"json", func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }, `"client":"192.0.2.1:4711"}` + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			slog.New(tc.make(&b)).Info("m", slog.Any("client", core.Suspect{AddrPort: netip.MustParseAddrPort("192.0.2.1:4711")}))
			if !strings.HasSuffix(b.String(), tc.want) {
				t.Errorf("got %q, want it to end with %q", b.String(), tc.want)
			}
		})
	}
}
