package impair

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// PacketOptions say what happens to every datagram of a PacketRelay. The zero
// PacketOptions disturb nothing.
type PacketOptions struct {
	Up   PacketDirection // from clients to the target
	Down PacketDirection // from the target to clients
	Seed uint64          // of what is random; 0 draws one, which the test's log shows
}

// PacketDirection says what happens to the datagrams of one direction, of each
// client apart. Shares are from 0 to 1. Without Reorder and Jitter the order
// stays.
type PacketDirection struct {
	Loss      float64       // share that is lost
	Duplicate float64       // share that goes out twice
	Reorder   float64       // share that is held back until the next one has gone out, which is not held itself
	Hold      time.Duration // how long to wait for that next one; 0 means 20 ms
	Corrupt   float64       // share in which one bit is flipped, in both copies of a duplicate
	Delay     time.Duration // of each
	Jitter    time.Duration // on top of it, at random up to this, of each copy
	Record    bool          // keep what went out, for Recorded
}

const (
	// defaultHold lets the last datagram of a test go before anybody gives up.
	defaultHold = 20 * time.Millisecond
	// packetRoom is the longest datagram in bytes, rounded up.
	packetRoom = 64 << 10
	// packetBuffer is how much the kernel may keep, so that a burst is not lost
	// at the relay itself.
	packetBuffer = 4 << 20
)

// PacketRelay is a running relay of UDP. To the target each client has a socket,
// and so a port, of its own.
type PacketRelay struct {
	target  string
	socket  *net.UDPConn // to the clients
	options PacketOptions
	seed    uint64
	done    chan struct{} // closed when the test ends
	running sync.WaitGroup

	up, down tally

	mu      sync.Mutex
	clients []*packetClient // guarded by mu; in the order of their first datagrams
}

// NewPackets starts a relay of UDP to target, "host:port". It ends with the test
// and waits for its goroutines then; what is still delayed is lost.
func NewPackets(t testing.TB, target string, options PacketOptions) *PacketRelay {
	t.Helper()
	if _, err := net.ResolveUDPAddr("udp", target); err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	grow(socket)
	r := &PacketRelay{target: target, socket: socket, options: options, seed: options.Seed, done: make(chan struct{})}
	if r.seed == 0 {
		r.seed = rand.Uint64()
		t.Logf("impair: seed %d", r.seed)
	}
	r.running.Go(r.receive)
	t.Cleanup(r.close)
	return r
}

// grow asks for large buffers; what the system allows is taken.
func grow(c *net.UDPConn) {
	_ = c.SetReadBuffer(packetBuffer)
	_ = c.SetWriteBuffer(packetBuffer)
}

// Addr returns the address to send to instead of the target's.
func (r *PacketRelay) Addr() string { return r.socket.LocalAddr().String() }

// Clients returns how many clients there have been.
func (r *PacketRelay) Clients() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients)
}

// Counts returns what has happened so far, of all clients together.
func (r *PacketRelay) Counts() (up, down Counts) { return r.up.snapshot(), r.down.snapshot() }

// Recorded returns copies of the datagrams that went out so far, of all clients
// together: without what was lost and with what was corrupted. A direction
// without Record has none.
func (r *PacketRelay) Recorded() (up, down [][]byte) { return r.up.recorded(), r.down.recorded() }

// InjectUp sends the target a datagram that comes from a client's port, as a
// replay would. Clients count from 0 in the order of their first datagrams. It
// is not disturbed, counted or recorded.
func (r *PacketRelay) InjectUp(client int, datagram []byte) error {
	c, err := r.client(client)
	if err != nil {
		return err
	}
	return c.toTarget(datagram)
}

// InjectDown is InjectUp towards the client.
func (r *PacketRelay) InjectDown(client int, datagram []byte) error {
	c, err := r.client(client)
	if err != nil {
		return err
	}
	return c.toClient(datagram)
}

func (r *PacketRelay) client(i int) (*packetClient, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i < 0 || i >= len(r.clients) {
		return nil, fmt.Errorf("inject: client %d of %d", i, len(r.clients))
	}
	return r.clients[i], nil
}

// receive takes the datagrams of all clients until the test ends. It alone adds
// clients, and closes their sockets.
func (r *PacketRelay) receive() {
	known := map[netip.AddrPort]*packetClient{}
	defer func() {
		for _, c := range known {
			c.upstream.Close()
		}
	}()
	b := make([]byte, packetRoom)
	for {
		n, from, err := r.socket.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of one datagram, not of the socket
		}
		c := known[from]
		if c == nil {
			if c, err = r.newClient(from); err != nil {
				continue // the next datagram tries again
			}
			known[from] = c
		}
		c.up.put(b[:n])
	}
}

// close ends everything and waits.
func (r *PacketRelay) close() {
	close(r.done)
	r.socket.Close()
	r.running.Wait()
}
