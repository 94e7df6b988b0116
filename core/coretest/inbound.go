package coretest

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"go.uber.org/goleak"
)

// InboundKit are the parameters of TestInbound.
type InboundKit struct {
	// New returns a fresh inbound that will listen on at. Its handshake timeout is a
	// minute or more, so that the timeout expires in no test.
	New func(t testing.TB, env core.Env, at netip.AddrPort) core.Inbound
	// Request is the client on conn. It requests target, without waiting for the
	// answer to the request, and returns a function that reads that answer, if the
	// protocol has one, and returns the stream of plaintext.
	Request func(t testing.TB, conn *net.TCPConn, target core.Addr) (finish func() (core.Stream, error))
	// AtOnce says that a client requests its target by connecting, without a byte.
	AtOnce bool
}

// InboundTarget is the target of the kit's clients.
var InboundTarget = core.AddrFrom(inboundTarget)

// TestInbound checks that an inbound satisfies the contract of core.Inbound, that its
// requests are complete, and that it leaves no goroutine.
func TestInbound(t *testing.T, kit InboundKit) {
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, kit InboundKit)
	}{
		{"request", inboundRequest},
		{"reject", inboundReject},
		{"listen before serve", inboundListenFirst},
		{"shutdown without listen", inboundNoListen},
		{"shutdown without serve", inboundNoServe},
		{"address in use", inboundInUse},
		{"shutdown leaves requests", inboundKeepsRequests},
		{"shutdown drops handshakes", inboundDropsHandshakes},
		{"refused client", inboundRefused},
		{"client that leaves", inboundLeaves},
	} {
		if kit.AtOnce { // there is no handshake
			switch tc.name {
			case "shutdown drops handshakes":
				continue
			case "client that leaves":
				tc.run = inboundSilent
			}
		}
		t.Run(tc.name, func(t *testing.T) {
			leak := goleak.IgnoreCurrent()
			tc.run(t, kit)
			goleak.VerifyNone(t, leak)
		})
	}
}

// inboundTarget is the target of the kit's clients.
var inboundTarget = netip.MustParseAddrPort("192.0.2.1:80")

// server is a serving inbound.
type server struct {
	inbound core.Inbound
	at      netip.AddrPort
	h       *Handler
	serving sync.WaitGroup
}

// serve starts a fresh inbound. deny is the gate's Admit; nil admits every client.
func serve(t *testing.T, kit InboundKit, deny func(core.Client) error) *server {
	t.Helper()
	s := &server{at: FreeAddr(t), h: NewHandler()}
	s.h.Deny = deny
	s.inbound = kit.New(t, Env(t), s.at)
	if err := s.inbound.Listen(t.Context()); err != nil {
		t.Fatalf("listen: %v", err)
	}
	s.serving.Go(func() {
		if err := s.inbound.Serve(context.Background(), s.h); err != nil {
			t.Errorf("serve: got %v, want nil after a shutdown", err)
		}
	})
	return s
}

// shutdown calls the inbound's Shutdown twice, with an expired context, so that it does
// not wait for handshakes.
func (s *server) shutdown(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, "the end of the inbound", func() {
		for range 2 {
			if err := s.inbound.Shutdown(ctx); err != nil {
				t.Errorf("shutdown: %v", err)
			}
		}
		s.serving.Wait()
	})
	measuredBy(t, s.inbound)
}

// connect opens a TCP connection to at.
func connect(t *testing.T, at netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ends waits until the peer has ended conn, by a FIN or a reset.
func ends(t *testing.T, conn net.Conn) {
	t.Helper()
	within(t, "the end of a connection", func() {
		b := make([]byte, 1024)
		for {
			if _, err := conn.Read(b); err != nil {
				return
			}
		}
	})
}

func inboundRequest(t *testing.T, kit InboundKit) {
	s := serve(t, kit, nil)
	defer s.shutdown(t)
	target := core.AddrFrom(inboundTarget)
	var ids []uint64
	for range 2 {
		conn := connect(t, s.at)
		finish := kit.Request(t, conn, target)
		served := s.h.Next(t)
		r := served.Request
		if r.Target != target || r.Client.Inbound != "test" || r.Client.Addr != conn.LocalAddr().(*net.TCPAddr).AddrPort() || r.Flow == nil || r.ID == 0 {
			t.Errorf("request: got %+v, want target %v, inbound test, client %v, a flow, an ID", r, target, conn.LocalAddr())
		}
		if served.Context.Err() != nil {
			t.Errorf("context of a request: got %v, want none", served.Context.Err())
		}
		ids = append(ids, r.ID)
		exchange(t, served, finish)
	}
	if ids[0] == ids[1] {
		t.Errorf("IDs of two requests: got %d twice", ids[0])
	}
}

// exchange accepts a request and sends bytes in both directions, to both ends.
func exchange(t *testing.T, served Served, finish func() (core.Stream, error)) {
	t.Helper()
	within(t, "an exchange", func() {
		var client core.Stream
		var all sync.WaitGroup
		all.Go(func() {
			var err error
			if client, err = finish(); err != nil {
				t.Errorf("the client's side: %v", err)
			}
		})
		near, err := served.Pending.Accept()
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer near.Close()
		Write(t, near, []byte("answer")) // a protocol may reply with the first bytes
		all.Wait()
		if client == nil {
			return
		}
		defer client.Close()
		Read(t, client, []byte("answer"))
		up, down := Pattern(100_000, 1), Pattern(100_000, 2)
		all.Go(func() { Write(t, client, up); CloseWrite(t, client) })
		ReadAll(t, near, up)
		all.Go(func() { Write(t, near, down); CloseWrite(t, near) })
		ReadAll(t, client, down)
		all.Wait()
	})
}
