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

// PacketOptions specify the disturbance of every datagram of a PacketRelay. The zero
// PacketOptions disturb nothing.
type PacketOptions struct {
	Up   PacketDirection // from clients to the target
	Down PacketDirection // from the target to clients
	Seed uint64          // seed of random decisions; 0 chooses a random seed and logs it
}

// PacketDirection specifies the disturbance of the datagrams of one direction, separately for
// each client. Shares are from 0 to 1. Without Reorder and Jitter the order does not change.
type PacketDirection struct {
	Loss      float64       // share that is lost
	Duplicate float64       // share that is sent twice
	Reorder   float64       // share that is held until the next datagram was sent, which is not held
	Hold      time.Duration // maximum time to hold; 0 means 20 ms
	Corrupt   float64       // share in which one bit is flipped, in both copies of a duplicate
	Delay     time.Duration // of each datagram
	Jitter    time.Duration // maximum of a random additional delay of each copy
	Record    bool          // keep the sent datagrams for Recorded
}

const (
	// defaultHold is short enough for the last datagram of a test to arrive before timeouts.
	defaultHold = 20 * time.Millisecond
	// packetRoom is the maximum size of a datagram in bytes, rounded up.
	packetRoom = 64 << 10
	// packetBuffer is the size of the kernel's buffers, so that no datagram of a burst is lost
	// at the relay.
	packetBuffer = 4 << 20
)

// PacketRelay is a running relay of UDP. It has a separate socket, and so a port, to the target
// for each client.
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

// NewPackets starts a relay of UDP to target, "host:port". The relay and its goroutines end with
// the test; delayed datagrams are then lost.
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

// grow requests large buffers and accepts smaller ones from the system.
func grow(c *net.UDPConn) {
	_ = c.SetReadBuffer(packetBuffer)
	_ = c.SetWriteBuffer(packetBuffer)
}

// Addr returns the address to send to instead of the target's.
func (r *PacketRelay) Addr() string { return r.socket.LocalAddr().String() }

// Clients returns the number of clients so far.
func (r *PacketRelay) Clients() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients)
}

// Counts returns the counts so far, for all clients together.
func (r *PacketRelay) Counts() (up, down Counts) { return r.up.snapshot(), r.down.snapshot() }

// Recorded returns copies of the datagrams sent so far, for all clients together: without lost
// datagrams and with corrupted ones. A direction without Record has none.
func (r *PacketRelay) Recorded() (up, down [][]byte) { return r.up.recorded(), r.down.recorded() }

// InjectUp sends a datagram to the target from a client's port, as a replay would. Clients count
// from 0 in the order of their first datagrams. The datagram is not disturbed, counted or
// recorded.
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

// receive reads the datagrams of all clients until the test ends. No other function adds clients
// or closes their sockets.
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
			continue // the error concerns one datagram, not the socket
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

// close ends the relay and waits for the goroutines.
func (r *PacketRelay) close() {
	close(r.done)
	r.socket.Close()
	r.running.Wait()
}
