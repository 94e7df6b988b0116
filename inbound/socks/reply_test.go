package socks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// slow is a timeout that only its method tells of.
type slow struct{}

func (slow) Error() string { return "slow" }
func (slow) Timeout() bool { return true }

func TestReplyFor(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	for _, tc := range []struct {
		name string
		err  error
		want byte
	}{
		{"nil", nil, 1},
		{"other", errors.New("boom"), 1},
		{"cancelled", context.Canceled, 1},
		{"shutdown", core.ErrShutdown, 1},
		{"malformed", core.ErrMalformed, 1},
		{"denied", fmt.Errorf("rule 3: %w", core.ErrDenied), 2},
		{"network unreachable", dial(syscall.ENETUNREACH), 3},
		{"host unreachable", dial(syscall.EHOSTUNREACH), 4},
		{"no such host", fmt.Errorf("resolve: %w", &net.DNSError{Err: "no such host", IsNotFound: true}), 4},
		{"resolver too slow", &net.DNSError{Err: "timeout", IsTimeout: true}, 4},
		{"refused", fmt.Errorf("dial: %w", dial(syscall.ECONNREFUSED)), 5},
		{"context's deadline", fmt.Errorf("dial: %w", context.DeadlineExceeded), 6},
		{"connection's deadline", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, 6},
		{"kernel's timeout", dial(syscall.ETIMEDOUT), 6},
		{"another's timeout", fmt.Errorf("tls: %w", slow{}), 6},
		{"joined: no IPv6, refused", errors.Join(dial(syscall.ENETUNREACH), dial(syscall.ECONNREFUSED)), 5},
		{"joined: no IPv6, timeout", errors.Join(dial(syscall.ENETUNREACH), fmt.Errorf("b: %w", slow{})), 6},
		{"joined: timeout, refused", fmt.Errorf("all: %w", errors.Join(dial(syscall.ETIMEDOUT), dial(syscall.ECONNREFUSED))), 5},
		{"name server refuses", &net.DNSError{Err: "refused", UnwrapErr: dial(syscall.ECONNREFUSED), IsTemporary: true}, 4},
		{"name server is silent", fmt.Errorf("dial: %w", &net.DNSError{Err: "timeout", UnwrapErr: context.DeadlineExceeded, IsTimeout: true}), 4},
		{"name server is denied", &net.DNSError{Err: "denied", UnwrapErr: core.ErrDenied}, 4},
		{"joined: no name, refused", errors.Join(&net.DNSError{UnwrapErr: core.ErrDenied}, dial(syscall.ECONNREFUSED)), 5},
		{"joined: no IPv6, denied", fmt.Errorf("%w, %w", dial(syscall.ENETUNREACH), core.ErrDenied), 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := replyFor(tc.err); got != tc.want {
				t.Errorf("%v: got reply %d, want %d", tc.err, got, tc.want)
			}
		})
	}
}

func TestReject(t *testing.T) {
	conn := &script{reads: whole([]byte("payload that nobody wants"))}
	pending{conn}.Reject(core.ErrDenied)
	if got := string(conn.wrote); got != reply(2) {
		t.Errorf("wrote %x, want %x", got, reply(2))
	}
	if !conn.halfShut || !conn.closed || conn.late > 0 {
		t.Errorf("got half-close %t, close %t, %d writes after it, want true, true, 0", conn.halfShut, conn.closed, conn.late)
	}
	if n := len(conn.unread()); n > 0 {
		t.Errorf("left %d bytes unread: the close would be a reset", n)
	}
}

func TestAcceptFails(t *testing.T) {
	conn := &script{fail: syscall.EPIPE}
	s, err := pending{conn}.Accept()
	if s != nil || !errors.Is(err, syscall.EPIPE) || !conn.closed {
		t.Errorf("got %v, %v, closed %t, want nil, EPIPE, true", s, err, conn.closed)
	}
}

// A client that sends for ever is left after a bounded count of bytes.
func TestRejectBoundsBytes(t *testing.T) {
	conn := &script{reads: whole(make([]byte, 1<<20))}
	pending{conn}.Reject(core.ErrDenied)
	if read := 1<<20 - len(conn.unread()); read != lingerBytes || !conn.closed {
		t.Errorf("read %d bytes, closed %t, want %d, true", read, conn.closed, lingerBytes)
	}
}

// A client that reads its answer and stays is left after a second.
func TestRejectBoundsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := newDuplex(t)
		began, done := time.Now(), make(chan struct{})
		go func() {
			defer close(done)
			pending{conn}.Reject(context.DeadlineExceeded)
		}()
		got, err := io.ReadAll(client)
		if string(got) != reply(6) || err != nil {
			t.Errorf("client read %x, %v, want %x", got, err, reply(6))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the end came after %s, want it at once", took)
		}
		<-done
		if took := time.Since(began); took != time.Second {
			t.Errorf("Reject took %s, want 1s", took)
		}
	})
}

// A client that never reads holds Fail and Reject for a second, too.
func TestFailBoundsTime(t *testing.T) {
	denied := refuse(socksaddr.RepBadCommand, core.ErrDenied)
	for _, tc := range []struct {
		name string
		left time.Duration // to the deadline
		err  error
		want time.Duration
	}{
		{"answer", 30 * time.Second, denied, time.Second},
		{"wrapped answer", 30 * time.Second, fmt.Errorf("a: %w", core.Authenticated(denied)), time.Second},
		{"answer near the deadline", 300 * time.Millisecond, denied, 300 * time.Millisecond},
		{"answer at the deadline", 0, denied, 0},
		{"other protocol", 30 * time.Second, core.ErrMalformed, 0},
		{"banned", 30 * time.Second, core.ErrDenied, 0},
		{"too slow", 0, core.ErrShort, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, conn := newDuplex(t)
				began := time.Now()
				new(handshaker).Fail(conn, began.Add(tc.left), tc.err)
				if took := time.Since(began); took != tc.want {
					t.Errorf("took %s, want %s", took, tc.want)
				}
			})
		})
	}
}

func TestFailWithoutDeadline(t *testing.T) {
	conn := &script{}
	new(handshaker).Fail(conn, time.Time{}, refuse(socksaddr.RepBadCommand, core.ErrDenied))
	if conn.deadline.IsZero() {
		t.Error("set no deadline, want one within a second")
	}
}

// A reset would take the answer away from a client that is still sending.
func TestAnswerSurvivesUnreadBytes(t *testing.T) {
	client, conn := tcpPair(t)
	sent := hello + "\x05\x01\x00\x09" + strings.Repeat("x", 32<<10)
	if _, err := client.Write([]byte(sent)); err != nil {
		t.Fatal(err)
	}
	h := handshakerFor(t, nil)
	err := h.Handshake(t.Context(), conn, core.Client{}, new(coretest.Asked))
	if !errors.Is(err, core.ErrAddrType) {
		t.Fatalf("got %v, want %v", err, core.ErrAddrType)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Fail(conn, time.Now().Add(time.Minute), err)
		conn.Close()
	}()
	want := []byte("\x05\x00" + reply(8))
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("client read %x, %v, want %x", got, err, want)
	}
	client.Close()
	<-done
}
