package inbound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/inbound"
)

// named is a protocol for tests: after its mark the client writes a target as in
// line. Its Fail answers with its name and the bytes that are left.
type named struct {
	mark  byte
	name  string
	fails chan error   // errors that Fail got
	ended atomic.Int64 // calls of Shutdown
}

func newNamed(mark byte, name string) *named {
	return &named{mark: mark, name: name, fails: make(chan error, 16)}
}

func (n *named) Handshake(ctx context.Context, conn core.Stream, c core.Client, next inbound.Requests) error {
	mark := make([]byte, 1)
	if _, err := io.ReadFull(conn, mark); err != nil || mark[0] != n.mark {
		return fmt.Errorf("%w: mark %q of %s: %w", core.ErrMalformed, mark, n.name, err)
	}
	if err := (line{}).Handshake(ctx, conn, c, next); err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	return nil
}

func (n *named) Fail(conn core.Stream, _ time.Time, err error) {
	n.fails <- err
	_, _ = conn.Write([]byte(n.name))
}

func (n *named) Shutdown(context.Context) { n.ended.Add(1) }

// mixed is an inbound with two protocols on one address.
type mixed struct {
	core.Inbound
	one, other *named
	h          *coretest.Handler
	at         netip.AddrPort
}

// serveMixed serves two protocols, marked 1 and 2; the second one is the fallback.
// deny, which may be nil, refuses clients.
func serveMixed(t *testing.T, deny func(core.Client) error) *mixed {
	t.Helper()
	m := &mixed{one: newNamed('1', "one"), other: newNamed('2', "other"), h: coretest.NewHandler(), at: coretest.FreeAddr(t)}
	m.h.Deny = deny
	var err error
	m.Inbound, err = inbound.New(coretest.Env(t), options(t, m.at), inbound.ByFirstByte(m.other, map[byte]inbound.Handshaker{'1': m.one}))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- m.Serve(context.Background(), m.h) }()
	t.Cleanup(func() {
		if err := m.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := coretest.Await(t, "the end of serve", served); err != nil {
			t.Errorf("serve: %v", err)
		}
		if one, other := m.one.ended.Load(), m.other.ended.Load(); one != 1 || other != 1 {
			t.Errorf("shutdowns: got %d and %d, want one of each", one, other)
		}
	})
	return m
}

// Each protocol gets its own clients, with the first byte.
func TestByFirstByte(t *testing.T) {
	m := serveMixed(t, nil)
	for _, mark := range []string{"1", "2"} {
		c := coretest.DialTCP(t, m.at, mark)
		coretest.Write(t, c, []byte(coretest.Target.String()+"\n"))
		next := m.h.Next(t)
		near, err := next.Pending.Accept()
		if err != nil || next.Request.Target != coretest.Target {
			t.Fatalf("request of %s: got %v, %v, want %v", mark, next.Request.Target, err, coretest.Target)
		}
		coretest.Read(t, c, []byte("+"))
		coretest.Write(t, c, []byte("up"))
		coretest.Read(t, near, []byte("up"))
		near.Close()
	}
}

// A failed handshake is ended by the protocol whose handshake it was, whatever it
// failed in.
func TestByFirstByteFail(t *testing.T) {
	m := serveMixed(t, nil)
	for _, tc := range []struct {
		name, text string
		by         *named
		err        error // nil for a panic
	}{
		{"the listed protocol", "1no target\n", m.one, core.ErrMalformed},
		{"the fallback", "2no target\n", m.other, core.ErrMalformed},
		{"a byte that none is listed for", "3", m.other, core.ErrMalformed},
		{"a panic", "1panic\n", m.one, nil},
		{"an end before the first byte", "", m.other, io.EOF},
		{"an end after the first byte", "1", m.one, io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := coretest.DialTCP(t, m.at, tc.text)
			coretest.CloseWrite(t, c)
			err := coretest.Await(t, "the failure", tc.by.fails)
			if tc.err != nil && !errors.Is(err, tc.err) || tc.err == nil && err.Error() != "panic: a mistake in a protocol" {
				t.Errorf("fail: got %v, want %v", err, tc.err)
			}
			coretest.ReadAll(t, c, []byte(tc.by.name))
		})
	}
	if n := len(m.one.fails) + len(m.other.fails); n > 0 {
		t.Errorf("got %d failures more than clients", n)
	}
}

// A protocol that read nothing of a connection fails with its first byte unread, also
// where another layer wraps the error.
func TestByFirstByteFailConn(t *testing.T) {
	errUnread := errors.New("nothing was read")
	for _, wrap := range []func(error) error{
		func(err error) error { return err },
		func(err error) error { return fmt.Errorf("user: %w", core.Authenticated(err)) },
	} {
		got := ""
		h := inbound.ByFirstByte(line{}, map[byte]inbound.Handshaker{'x': &lazyHandshaker{err: errUnread, got: &got}})
		client, conn := coretest.Pipe()
		coretest.Write(t, client, []byte("xyz"))
		coretest.CloseWrite(t, client)
		err := h.Handshake(t.Context(), conn, core.Client{}, nil)
		if !errors.Is(err, errUnread) {
			t.Fatalf("handshake: got %v, want %v", err, errUnread)
		}
		h.Fail(conn, time.Time{}, wrap(err))
		if got != "xyz" {
			t.Errorf("left for fail: got %q, want xyz", got)
		}
		conn.Close()
	}
}

// lazyHandshaker reads nothing before Fail.
type lazyHandshaker struct {
	err error
	got *string
}

func (l *lazyHandshaker) Handshake(context.Context, core.Stream, core.Client, inbound.Requests) error {
	return l.err
}

func (l *lazyHandshaker) Fail(conn core.Stream, _ time.Time, _ error) {
	b, _ := io.ReadAll(conn)
	*l.got = string(b)
}

// A client that is refused before it spoke is the fallback's.
func TestByFirstByteRefused(t *testing.T) {
	m := serveMixed(t, func(core.Client) error { return core.ErrDenied })
	c := coretest.DialTCP(t, m.at, "")
	if err := coretest.Await(t, "the refusal", m.other.fails); !errors.Is(err, core.ErrDenied) {
		t.Errorf("fail: got %v, want %v", err, core.ErrDenied)
	}
	coretest.ReadAll(t, c, []byte("other"))
}
