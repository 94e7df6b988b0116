package impair

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
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

// PacketDirection says what happens to the datagrams of one direction. The
// shares are from 0 to 1.
type PacketDirection struct {
	Loss      float64       // share that is lost
	Duplicate float64       // share that goes out twice
	Reorder   float64       // share that is held back until the next one has gone out, or for holdTime
	Corrupt   float64       // share in which one bit is flipped
	Delay     time.Duration // of each
	Jitter    time.Duration // on top of it, at random up to this; it reorders too
	Record    bool          // keep what went out, for Recorded
}

// Counts are what happened to the datagrams of one direction.
type Counts struct{ Came, Out, Lost, Duplicated, Held, Corrupted int }

const (
	// holdTime is how long a datagram is held back if none follows it.
	holdTime = 20 * time.Millisecond
	// packetRoom is the longest datagram in bytes, rounded up.
	packetRoom = 64 << 10
	// packetBuffer is how much the kernel may keep, so that a burst is not lost
	// at the relay itself.
	packetBuffer = 4 << 20
)

// PacketRelay is a running relay of UDP. To the target each client has a socket,
// and so a port, of its own.
type PacketRelay struct {
	target  netip.AddrPort
	socket  *net.UDPConn // to the clients
	options PacketOptions
	running sync.WaitGroup
	done    chan struct{}

	mu      sync.Mutex
	rand    *rand.Rand // guarded by mu, as all that follows
	clients map[netip.AddrPort]*net.UDPConn
	up      lane
	down    lane
	closed  bool
}

// lane is the state of one direction.
type lane struct {
	counts   Counts
	recorded [][]byte
	held     func() // sends the datagram that is held back
}

// NewPackets starts a relay of UDP to target, "ip:port". It ends with the test
// and waits for its goroutines then.
func NewPackets(t testing.TB, target string, options PacketOptions) *PacketRelay {
	t.Helper()
	seed := options.Seed
	if seed == 0 {
		seed = rand.Uint64()
		t.Logf("impair: seed %d", seed)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	grow(socket)
	r := &PacketRelay{
		target: netip.MustParseAddrPort(target), socket: socket, options: options, done: make(chan struct{}),
		rand: rand.New(rand.NewPCG(seed, 0)), clients: map[netip.AddrPort]*net.UDPConn{},
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

// Counts returns what has happened so far.
func (r *PacketRelay) Counts() (up, down Counts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up.counts, r.down.counts
}

// Recorded returns copies of the datagrams that went out so far.
func (r *PacketRelay) Recorded() (up, down [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.up.recorded), slices.Clone(r.down.recorded)
}

// receive takes the datagrams of all clients.
func (r *PacketRelay) receive() {
	b := make([]byte, packetRoom)
	for {
		n, client, err := r.socket.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if upstream := r.upstream(client); upstream != nil {
			r.pass(&r.up, r.options.Up, b[:n], func(data []byte) { _, _ = upstream.Write(data) })
		}
	}
}

// upstream returns a client's socket to the target, or nil if the test has ended.
func (r *PacketRelay) upstream(client netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.clients[client]; known != nil || r.closed {
		return known
	}
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.target))
	if err != nil {
		return nil
	}
	grow(c)
	r.clients[client] = c
	r.running.Go(func() { r.answer(client, c) })
	return c
}

// answer takes what the target sends to one client.
func (r *PacketRelay) answer(client netip.AddrPort, c *net.UDPConn) {
	b := make([]byte, packetRoom)
	for {
		n, err := c.Read(b)
		select {
		case <-r.done:
			return
		default:
		}
		if err != nil {
			continue // the target was not there
		}
		r.pass(&r.down, r.options.Down, b[:n], func(data []byte) { _, _ = r.socket.WriteToUDPAddrPort(data, client) })
	}
}

// close ends everything and waits.
func (r *PacketRelay) close() {
	close(r.done)
	r.mu.Lock()
	r.closed = true
	r.socket.Close()
	for _, c := range r.clients {
		c.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}
