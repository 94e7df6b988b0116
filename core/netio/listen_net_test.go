package netio_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// listenNet leases at as a net.Listener.
func listenNet(t *testing.T, set *netio.SocketSet, at netip.AddrPort, failed func(error)) net.Listener {
	t.Helper()
	l, err := set.ListenNet(t.Context(), at, netio.SocketOptions{}, failed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// site is an http.Server that answers with its name.
type site struct {
	http.Server
	asked   atomic.Int64
	open    atomic.Int64 // connections
	serving chan error
}

func serveSite(t *testing.T, l net.Listener, name string) *site {
	t.Helper()
	s := &site{serving: make(chan error, 1)}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		_, _ = io.WriteString(w, name)
	})
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.open.Add(1)
		case http.StateClosed:
			s.open.Add(-1)
		}
	}
	go func() { s.serving <- s.Serve(l) }()
	return s
}

// shutDown ends a site in order.
func (s *site) shutDown(t *testing.T) {
	t.Helper()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := coretest.Await(t, "the end of serve", s.serving); err != http.ErrServerClosed {
		t.Errorf("serve: got %v, want %v", err, http.ErrServerClosed)
	}
}

// While one http.Server takes over from another no request fails, and those that come
// after the first answer of the new server are the new one's.
func TestListenNetTakeover(t *testing.T) {
	set, at := new(netio.SocketSet), coretest.FreeAddr(t)
	failed := func(err error) { t.Errorf("accept: %v", err) }
	old := listenNet(t, set, at, failed)
	now := serveSite(t, old, "a")
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for last := ""; ctx.Err() == nil; {
				r, err := client.Get("http://" + at.String())
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				body, err := io.ReadAll(r.Body)
				r.Body.Close()
				if name := string(body); err != nil || len(name) != 1 || name < last {
					t.Errorf("get: got %q, %v after %q", name, err, last)
					return
				}
				last = string(body)
			}
		})
	}
	for _, name := range []string{"b", "c", "d"} {
		coretest.Eventually(t, "requests to the old server", func() bool { return now.asked.Load() >= 10 })
		fresh := listenNet(t, set, at, failed)
		next := serveSite(t, fresh, name)
		coretest.Eventually(t, "requests to the new server", func() bool { return next.asked.Load() >= 10 })
		// Shutdown of an http.Server drops requests that it has not read yet.
		coretest.Eventually(t, "the old server's last answer", func() bool { return netio.Queued(old) == 0 && now.open.Load() == 0 })
		now.shutDown(t)
		now, old = next, fresh
	}
	stop()
	clients.Wait()
	now.shutDown(t)
	coretest.Refusing(t, at)
}

// fill has n connections wait in the queue of l, which has accepted one before.
func fill(t *testing.T, l net.Listener, n int) (waiting []*net.TCPConn) {
	t.Helper()
	first := dialNet(t, l)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	coretest.ReadAll(t, first, nil)
	for range n {
		waiting = append(waiting, dialNet(t, l))
	}
	coretest.Eventually(t, "the queue", func() bool { return netio.Queued(l) == n })
	return waiting
}

// takeOver has a new lease answer with a name from now on.
func takeOver(t *testing.T, set *netio.SocketSet, at netip.AddrPort, name string) {
	t.Helper()
	l := lease(t, set, at)
	serveName(t, l, name)
	// A client that came sooner would wait in the queue.
	coretest.Eventually(t, "the new lease", func() bool { return netio.Owns(l) })
	if got, err := greeted(at); got != name || err != nil {
		t.Errorf("client: got %q, %v, want %s", got, err, name)
	}
}

func dialNet(t *testing.T, l net.Listener) *net.TCPConn {
	t.Helper()
	return coretest.DialTCP(t, l.Addr().(*net.TCPAddr).AddrPort(), "")
}

// What waits when another lease takes over can still be accepted.
func TestListenNetKeepsQueue(t *testing.T) {
	set, at := new(netio.SocketSet), coretest.FreeAddr(t)
	old := listenNet(t, set, at, nil)
	waiting := fill(t, old, 3)
	takeOver(t, set, at, "new")
	for _, c := range waiting {
		conn, err := old.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := conn.RemoteAddr().String(), c.LocalAddr().String(); got != want {
			t.Errorf("accepted %s, want %s", got, want)
		}
		conn.Close()
	}
}

// Close passes what waits on to the lease that has taken over, and closes it where
// there is none.
func TestListenNetClose(t *testing.T) {
	for _, want := range []string{"new", ""} {
		set, at := new(netio.SocketSet), coretest.FreeAddr(t)
		old := listenNet(t, set, at, nil)
		waiting := fill(t, old, 3)
		if want != "" {
			takeOver(t, set, at, want)
		}
		for range 2 {
			if err := old.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		for _, c := range waiting {
			coretest.ReadAll(t, c, []byte(want))
		}
		if c, err := old.Accept(); c != nil || !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: got %v, %v, want nil, net.ErrClosed", c, err)
		}
	}
}

// A full queue does not stop the socket: what does not fit is closed, and another
// lease can serve.
func TestListenNetFull(t *testing.T) {
	set, at := new(netio.SocketSet), coretest.FreeAddr(t)
	full := make(chan error, 8)
	old := listenNet(t, set, at, func(err error) { full <- err })
	fill(t, old, netio.NetQueue)
	coretest.ReadAll(t, dialNet(t, old), nil)
	if err := coretest.Await(t, "the failure", full); !errors.Is(err, core.ErrCrowded) || !strings.Contains(err.Error(), at.String()) {
		t.Errorf("failed: got %v, want an ErrCrowded that names %s", err, at)
	}
	takeOver(t, set, at, "new")
	if n := netio.Queued(old); n != netio.NetQueue {
		t.Errorf("waiting: got %d, want %d", n, netio.NetQueue)
	}
}

// Close ends an Accept that waits, and a listener that has accepted nothing.
func TestListenNetCloseEndsAccept(t *testing.T) {
	set, at := new(netio.SocketSet), coretest.FreeAddr(t)
	l, unused := listenNet(t, set, at, nil), listenNet(t, set, at, nil)
	if got := l.Addr().String(); got != at.String() {
		t.Errorf("address: got %s, want %s", got, at)
	}
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
	}
	coretest.Together(func() { l.Close() }, func() { l.Close() }, func() { unused.Close() })
	for range 2 {
		if err := coretest.Await(t, "the end of accept", ended); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: got %v, want net.ErrClosed", err)
		}
	}
	coretest.Refusing(t, at)
	if set.Has(core.TCP, at) {
		t.Error("the address is still leased")
	}
}
