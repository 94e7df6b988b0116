package coretest

import (
	"context"
	"net"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func inboundReject(t *testing.T, kit InboundKit) {
	s := serve(t, kit, nil)
	defer s.shutdown(t)
	for _, cause := range []error{core.ErrDenied, core.ErrShutdown, &net.DNSError{IsNotFound: true}} {
		conn := connect(t, s.at)
		kit.Request(t, conn, core.AddrFrom(inboundTarget))
		s.h.Next(t).Pending.Reject(cause)
		ends(t, conn)
		conn.Close()
	}
}

// A client that connects between Listen and Serve waits and is not refused.
func inboundListenFirst(t *testing.T, kit InboundKit) {
	s := &server{at: FreeAddr(t), h: NewHandler()}
	s.inbound = kit.New(t, Env(t), s.at)
	if err := s.inbound.Listen(t.Context()); err != nil {
		t.Fatalf("listen: %v", err)
	}
	conn := connect(t, s.at)
	s.serving.Go(func() { _ = s.inbound.Serve(context.Background(), s.h) })
	defer s.shutdown(t)
	finish := kit.Request(t, conn, core.AddrFrom(inboundTarget))
	exchange(t, s.h.Next(t), finish)
}

func inboundNoListen(t *testing.T, kit InboundKit) {
	in := kit.New(t, Env(t), FreeAddr(t))
	within(t, "a shutdown of what never listened", func() {
		if err := in.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
}

// An inbound that listened and never served frees its address.
func inboundNoServe(t *testing.T, kit InboundKit) {
	at := FreeAddr(t)
	for range 2 {
		in := kit.New(t, Env(t), at)
		if err := in.Listen(t.Context()); err != nil {
			t.Fatalf("listen: %v", err)
		}
		within(t, "a shutdown of what never served", func() {
			for range 2 {
				if err := in.Shutdown(t.Context()); err != nil {
					t.Errorf("shutdown: %v", err)
				}
			}
		})
	}
}

func inboundInUse(t *testing.T, kit InboundKit) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(FreeAddr(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	in := kit.New(t, Env(t), l.Addr().(*net.TCPAddr).AddrPort())
	if err := in.Listen(t.Context()); err == nil {
		t.Error("listen on an address in use: got nil, want an error")
	}
	if err := in.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown after a failed listen: %v", err)
	}
}

func inboundKeepsRequests(t *testing.T, kit InboundKit) {
	s := serve(t, kit, nil)
	finish := kit.Request(t, connect(t, s.at), core.AddrFrom(inboundTarget))
	served := s.h.Next(t)
	s.shutdown(t)
	if c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(s.at)); err == nil {
		c.Close()
		t.Error("connect after the shutdown: got a connection, want a refusal")
	}
	exchange(t, served, finish)
}

// A handshake that has not ended when the context ends is dropped.
func inboundDropsHandshakes(t *testing.T, kit InboundKit) {
	admitted := make(chan core.Client, 2)
	s := serve(t, kit, func(c core.Client) error { admitted <- c; return nil })
	silent := []*net.TCPConn{connect(t, s.at), connect(t, s.at)}
	for range silent {
		Await(t, "the gate to be asked", admitted)
	}
	s.shutdown(t)
	for _, conn := range silent {
		ends(t, conn)
	}
	s.h.WaitEnds(t, len(silent))
	s.h.Check(t)
}

// A client that the gate refuses causes no request and no event.
func inboundRefused(t *testing.T, kit InboundKit) {
	asked := make(chan core.Client, 2)
	s := serve(t, kit, func(c core.Client) error { asked <- c; return core.ErrDenied })
	conn := connect(t, s.at)
	if got, want := Await(t, "the gate to be asked", asked).Addr, conn.LocalAddr().(*net.TCPAddr).AddrPort(); got != want {
		t.Errorf("the gate was asked about %v, want %v", got, want)
	}
	conn.Close()
	s.shutdown(t)
	if n := s.h.Waiting(); n != 0 || len(asked) != 0 {
		t.Errorf("requests: got %d, want none; the gate was asked %d times more, want once in all", n, len(asked))
	}
	if events := s.h.Events(); len(events) != 0 {
		t.Errorf("events of a refused client: got %v, want none", events)
	}
}

// A client that connects and leaves is one failed handshake.
func inboundLeaves(t *testing.T, kit InboundKit) {
	s := serve(t, kit, nil)
	connect(t, s.at).Close()
	gone := connect(t, s.at)
	_ = gone.SetLinger(0)
	gone.Close()
	for _, e := range s.h.WaitEnds(t, 2) {
		if e.Kind != core.HandshakeFailed || e.Err == nil || e.Request != nil || e.Authenticated {
			t.Errorf("event: got %+v, want a failed handshake with an error, no request", e)
		}
	}
	s.shutdown(t)
	s.h.Check(t)
}

// A client that says nothing, of an inbound without a handshake, is a request.
func inboundSilent(t *testing.T, kit InboundKit) {
	s := serve(t, kit, nil)
	connect(t, s.at)
	s.h.Next(t).Pending.Reject(core.ErrDenied)
	s.shutdown(t)
}
