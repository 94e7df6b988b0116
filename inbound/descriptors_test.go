//go:build unix

package inbound_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// flood makes n clients that send text, and waits for their events.
func (s *testServer) flood(t *testing.T, n int, text string) {
	t.Helper()
	for range n {
		c := s.dial(t, text)
		c.Close()
	}
	s.h.WaitEnds(t, n)
}

func TestServerLogsInBounds(t *testing.T) {
	const clients, each = 300, 10
	s := startServer(t, nil)
	began := time.Now()
	s.flood(t, clients, "wrong\n")
	s.drop(t)
	periods := int(time.Since(began)/time.Second) + 2
	if n := len(s.lines.With("handshake failed")); n < each || n > min(each*periods, clients-1) {
		t.Errorf("lines: got %d, want %d for each begun second", n, each)
	}
}

// A health check is no news.
func TestServerLogsNoVisit(t *testing.T) {
	s := startServer(t, nil)
	s.flood(t, 5, "")
	s.drop(t)
	if got := s.lines.With(""); len(got) != 0 {
		t.Errorf("lines: got %q, want none", got)
	}
}

func TestServerLogsAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, nil)
		for range 100 {
			s.AcceptError(errors.New("too many open files"))
		}
		<-time.After(10 * time.Second)
		s.AcceptError(errors.New("again"))
		if got := s.lines.With("accept"); len(got) != 2 || len(s.lines.With("again", "suppressed=99")) != 1 {
			t.Errorf("lines: got %q, want the first, and after 10 s one that counts 99", got)
		}
	})
}

// Clients that come and go in every way leave nothing behind.
func TestServerChurn(t *testing.T) {
	const clients, workers = 3000, 8
	s := startServer(t, func(_ *testServer, cfg *inbound.ServerConfig) {
		cfg.Fail = readOn
	})
	s.served(t)
	idle := func() (int, int) { return runtime.NumGoroutine(), coretest.Descriptors() }
	goroutines, files := idle()
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range clients / workers {
				c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(s.Listening()[0]))
				if err != nil {
					t.Errorf("client %d of worker %d: %v", i, w, err)
					return
				}
				if i%2 == 0 {
					_, _ = c.Write([]byte("wrong\n")[:i%7])
				}
				if i%3 == 0 {
					_ = c.SetLinger(0)
				}
				c.Close()
			}
		})
	}
	all.Wait()
	s.h.WaitEnds(t, clients)
	coretest.Eventually(t, "goroutines and descriptors as before", func() bool {
		g, f := idle()
		return g <= goroutines && f <= files
	})
	s.served(t)
}

func TestServerShutdownTwice(t *testing.T) {
	for _, tc := range []struct {
		name          string
		listen, serve bool
	}{
		{"serving", true, true},
		{"without serve", true, false},
		{"without listen", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := coretest.FreeAddr(t)
			s := newTestServer(t, func(_ *testServer, cfg *inbound.ServerConfig) { cfg.Listen = option.ListenList{option.ListenOn(at)} })
			if tc.listen {
				if err := s.Listen(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if tc.serve {
				s.serve(t)
				s.served(t)
			}
			coretest.Together(func() { s.drop(t) }, func() { s.drop(t) })
			s.drop(t)
			coretest.Refusing(t, at)
		})
	}
}

// Over the bound the oldest client that is silent ends, in whatever way its kind ends clients,
// and newer ones go on.
func TestServerMakesRoom(t *testing.T) {
	const most = 4
	for _, tc := range []struct {
		name string
		fail func(core.Stream, time.Time, error)
	}{
		{"of a kind that closes", func(core.Stream, time.Time, error) {}},
		{"of a kind that reads on", readOn},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var come atomic.Int64
			s := startServer(t, func(s *testServer, cfg *inbound.ServerConfig) {
				cfg.Max, cfg.Fail = most, tc.fail
				s.h.Gate.Deny = func(core.Client) error { come.Add(1); return nil }
			})
			var conns []*net.TCPConn
			for i := range most {
				conns = append(conns, s.dial(t, ""))
				coretest.Eventually(t, "a client", func() bool { return come.Load() == int64(i+1) })
			}
			conns = append(conns, s.dial(t, ""))
			_ = conns[0].SetReadDeadline(time.Now().Add(coretest.Patience / 4))
			if _, err := conns[0].Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the oldest: got %v, want io.EOF", err)
			}
			for _, c := range conns[1:] {
				coretest.Write(t, c, []byte("ok\n"))
				s.exchange(t, c)
			}
		})
	}
}

// asServer, in the environment, makes the test binary a server with as many
// descriptors as it says.
const asServer = "UMBRA_TEST_DESCRIPTORS"

// echo is a core.Handler that sends back what its clients send.
type echo struct{ *coretest.Gate }

func (echo) HandlePackets(context.Context, *core.Request, core.PendingPackets, func()) core.Association {
	return nil
}

func (echo) HandleStream(_ context.Context, _ *core.Request, p core.Pending, _ func()) {
	conn, err := p.Accept()
	if err != nil {
		return
	}
	go func() { // a stream that is served counts as a handshake no more
		defer conn.Close()
		for one := make([]byte, 1); ; {
			if _, err := io.ReadFull(conn, one); err != nil {
				return
			}
			if _, err := conn.Write(one); err != nil {
				return
			}
		}
	}()
}

// TestDescriptorsServer is no test: it is the server of the tests below, in a
// process of its own. It says its state for each line of its standard input and
// ends with it.
func TestDescriptorsServer(t *testing.T) {
	files, err := strconv.Atoi(os.Getenv(asServer))
	if err != nil {
		t.Skip("runs in a process of its own only")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lower(&limit.Cur, files)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, func(s *testServer, cfg *inbound.ServerConfig) {
		budget.Of(cfg.Env.Process).Set(budget.Limits{Descriptors: files}, nil)
		s.handler = echo{s.h.Gate}
		cfg.Handshake = func(_ context.Context, conn core.Stream, _ core.Client, next inbound.Requests) error {
			one := make([]byte, 1)
			if _, err := io.ReadFull(conn, one); err != nil {
				return err
			}
			if _, err := conn.Write(one); err != nil {
				return err
			}
			next.Stream(&core.Request{Target: coretest.Target}, &lineEnd{conn})
			return nil
		}
	})
	fmt.Println("listening", s.Listening()[0])
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			t.Error(err)
		}
		fmt.Println("state", used.Utime.Nano()+used.Stime.Nano(), len(s.lines.With("msg=accept", "too many open files")))
	}
}

// lower sets a limit, whose type differs from one system to another.
func lower[N int64 | uint64](limit *N, n int) { *limit = N(n) }

// child is a TestDescriptorsServer.
type child struct {
	at    netip.AddrPort
	asks  io.Writer
	lines chan string
}

func startChild(t *testing.T, files int) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDescriptorsServer$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), asServer+"="+strconv.Itoa(files))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{asks: in, lines: make(chan string, 64)}
	t.Cleanup(func() {
		in.Close()
		for range c.lines { // to its end
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server's process: %v", err)
		}
	})
	go func() {
		defer close(c.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()
	c.at = netip.MustParseAddrPort(c.answer(t, "listening"))
	return c
}

// answer returns what follows word on the next line that begins with it.
func (c *child) answer(t *testing.T, word string) string {
	t.Helper()
	for {
		if rest, ok := strings.CutPrefix(coretest.Await(t, "the server's word", c.lines), word+" "); ok {
			return rest
		}
	}
}

// state returns the processor time that the server has used and how often it
// said that it is out of descriptors.
func (c *child) state(t *testing.T) (cpu time.Duration, out int) {
	t.Helper()
	coretest.Write(t, c.asks, []byte("state\n"))
	text := c.answer(t, "state")
	if _, err := fmt.Sscan(text, (*int64)(&cpu), &out); err != nil {
		t.Fatalf("state %q: %v", text, err)
	}
	return cpu, out
}

// A server without descriptors neither ends nor spins; it goes on with the
// clients that it has, and takes others as soon as it can.
func TestOutOfDescriptors(t *testing.T) {
	const files, clients = 64, 100
	c := startChild(t, files)
	var conns []*net.TCPConn
	for i := range clients {
		conn := coretest.DialTCP(t, c.at, "x")
		if conns = append(conns, conn); i < files/2 {
			coretest.Read(t, conn, []byte("x"))
		}
	}
	coretest.Eventually(t, "a failed accept", func() bool { _, out := c.state(t); return out > 0 })
	before, _ := c.state(t)
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 20 {
		<-tick.C
		coretest.Write(t, conns[0], []byte("y"))
		coretest.Read(t, conns[0], []byte("y"))
	}
	after, out := c.state(t)
	if used, took := after-before, time.Since(began); used > took/3 {
		t.Errorf("out of descriptors: used %s of processor time in %s, want next to none", used, took)
	}
	if out != 1 {
		t.Errorf("lines about it: got %d, want 1 in 10 s", out)
	}
	for _, conn := range conns {
		conn.Close()
	}
	coretest.Read(t, coretest.DialTCP(t, c.at, "z"), []byte("z"))
}

// Clients that say nothing take no more than their share of the descriptors, so
// they keep nobody out.
func TestStalledClients(t *testing.T) {
	c := startChild(t, 64)
	for range 300 {
		coretest.DialTCP(t, c.at, "")
	}
	for range 3 {
		coretest.Read(t, coretest.DialTCP(t, c.at, "x"), []byte("x"))
	}
}
