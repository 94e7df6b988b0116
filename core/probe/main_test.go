package probe_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/probe"
	"github.com/umbra-proxy/umbra/test/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	wait     = 3 * time.Second        // of the prober
	patience = 800 * time.Millisecond // after which the servers of the tests end a connection
)

// scripted is a server that handles each connection with serve, and counts connections.
type scripted struct {
	addr  string
	ln    net.Listener
	serve func(conn *net.TCPConn, n int) // n is how many came before
	all   sync.WaitGroup

	mu    sync.Mutex
	count int // guarded by mu
}

// newScripted starts a server that ends with the test.
func newScripted(t *testing.T, serve func(conn *net.TCPConn, n int)) *scripted {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{addr: ln.Addr().String(), ln: ln, serve: serve}
	s.all.Go(s.accept)
	t.Cleanup(func() {
		ln.Close()
		s.all.Wait()
	})
	return s
}

func (s *scripted) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		n := s.count
		s.count++
		s.mu.Unlock()
		s.all.Go(func() {
			defer conn.Close()
			s.serve(conn.(*net.TCPConn), n)
		})
	}
}

func (s *scripted) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// limit lets reads of a connection end after d from now.
func limit(conn *net.TCPConn, d time.Duration) { _ = conn.SetReadDeadline(time.Now().Add(d)) }

// drain reads until the end of the connection or the limit, and then sends a FIN. It returns
// the number of bytes read.
func drain(conn *net.TCPConn) int {
	total, buf := 0, make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if total += n; err != nil {
			_ = conn.CloseWrite()
			return total
		}
	}
}

// reset ends a connection with a RST.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	conn.Close()
}

// newCipher returns a cipher with a new set of salts.
func newCipher(t testing.TB) *aead.Cipher {
	t.Helper()
	s := aead.Specs()[2]
	c, err := aead.New(s, key.FromPassword(peer.Password, s.KeySize), replay.NewSalts(1<<10))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newKey returns a key for servers of newCipher.
func newKey(t testing.TB) *probe.Key {
	t.Helper()
	to, err := core.ParseAddr("example.com:80")
	if err != nil {
		t.Fatal(err)
	}
	return &probe.Key{Cipher: newCipher(t), Target: to, PacketTarget: to}
}

// smallConfig is the configuration of a small set of probes.
func smallConfig(addr string, key *probe.Key) probe.Config {
	return probe.Config{Server: addr, Key: key, Wait: wait, Parallel: 60, Quick: true, Pace: time.Millisecond}
}

// run runs a plan.
func run(t *testing.T, cfg probe.Config) (*probe.Plan, *probe.Result, error) {
	t.Helper()
	plan, err := probe.NewPlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	last := 0
	res, err := plan.Run(ctx, func(done int, _ probe.Record) {
		if done != last+1 {
			t.Errorf("got progress %d after %d", done, last)
		}
		last = done
	})
	return plan, res, err
}
