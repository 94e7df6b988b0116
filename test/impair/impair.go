// Package impair disturbs TCP connections and UDP datagrams in tests. A Relay runs in the
// process of the test, between a client and a target, and cuts, delays, corrupts, records or ends
// the bytes of each direction as its Options specify. A PacketRelay disturbs datagrams as networks
// do.
package impair

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Options specify the disturbance of every connection of a relay. The zero Options disturb
// nothing.
type Options struct {
	Up   Direction // from the client to the target
	Down Direction // from the target to the client
	Seed uint64    // seed of the random sizes; 0 chooses a random seed and logs it
}

// Direction specifies the disturbance of one direction. Offsets and counts are in bytes of one
// connection.
type Direction struct {
	Segment int           // maximum size of a write; 0 for the size of the read
	Random  bool          // writes are of 1 to Segment bytes, at random
	Delay   time.Duration // before each write

	End   End   // how the direction ends after After bytes
	After int64 // may be 0: no byte is written

	Corrupt []int64 // offsets of bytes whose lowest bit is flipped
	Record  bool    // keep the written bytes for Recorded
}

// End specifies how a direction ends before its source does.
type End int

// The values of End.
const (
	Never   End = iota // ends with its source
	Close              // both peers read EOF; their bytes are discarded
	Reset              // both peers get a RST; a peer may lose bytes that it has not read yet
	Discard            // bytes and EOF of the source are discarded; the other direction continues
	Stall              // reading stops, so that the source's window fills
)

// Relay is a running relay.
type Relay struct {
	target   string
	options  Options
	seed     uint64
	listener *net.TCPListener
	done     chan struct{} // closed when the test ends
	running  sync.WaitGroup

	up, down atomic.Int64

	mu    sync.Mutex
	conns []*connection // guarded by mu; all connections, including ended ones
}

// New starts a relay to target, "host:port". The relay and its goroutines end with the test.
func New(t testing.TB, target string, options Options) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{target: target, options: options, seed: options.Seed, listener: l.(*net.TCPListener), done: make(chan struct{})}
	if r.seed == 0 && (options.Up.Random || options.Down.Random) {
		r.seed = rand.Uint64()
		t.Logf("impair: seed %d", r.seed)
	}
	r.running.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

// Addr returns the address to dial instead of the target's.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Conns returns the number of connections, including ended ones.
func (r *Relay) Conns() int { return len(r.all()) }

// Bytes returns the number of bytes written to targets and to clients.
func (r *Relay) Bytes() (up, down int64) { return r.up.Load(), r.down.Load() }

// Recorded returns copies of the bytes written for connection i, counted from 0: without dropped
// bytes and with corrupted ones. A direction without Record has none.
func (r *Relay) Recorded(i int) (up, down []byte) {
	c := r.all()[i]
	return c.up.recorded(), c.down.recorded()
}

// Break resets all open connections.
func (r *Relay) Break() {
	for _, c := range r.all() {
		c.reset()
	}
}

func (r *Relay) all() []*connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns[:len(r.conns):len(r.conns)]
}

func (r *Relay) accept() {
	for {
		client, err := r.listener.AcceptTCP()
		if err != nil {
			return // the test has ended
		}
		c := r.newConnection(client)
		r.running.Go(func() { r.serve(c, client) })
	}
}

// close ends all connections and waits for the goroutines.
func (r *Relay) close() {
	close(r.done)
	r.listener.Close()
	r.running.Wait()
}

// newConnection registers a connection before the target can receive from it. Its random sizes
// depend on the seed and its number.
func (r *Relay) newConnection(client *net.TCPConn) *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := 2 * uint64(len(r.conns))
	c := &connection{ended: make(chan struct{}), sockets: []*net.TCPConn{client}}
	c.up = &flow{Direction: r.options.Up, c: c, count: &r.up, rand: rand.New(rand.NewPCG(r.seed, i))}
	c.down = &flow{Direction: r.options.Down, c: c, count: &r.down, rand: rand.New(rand.NewPCG(r.seed, i+1))}
	r.conns = append(r.conns, c)
	return c
}

// serve dials the target and serves one connection to its end. If the target can't be reached,
// the client is reset, perhaps while it is still connecting.
func (r *Relay) serve(c *connection, client *net.TCPConn) {
	conn, err := net.Dial("tcp", r.target)
	if err != nil {
		c.reset()
		return
	}
	target := conn.(*net.TCPConn)
	if !c.add(target) {
		return
	}
	c.up.src, c.up.dst = client, target
	c.down.src, c.down.dst = target, client
	c.run(r.done)
}
