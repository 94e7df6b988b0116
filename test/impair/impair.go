// Package impair disturbs TCP connections and UDP datagrams in tests. A Relay
// stands between a client and a target in the test's own process and cuts, delays,
// corrupts, records or ends what passes, in each direction as its Options say. A
// PacketRelay does to datagrams what networks do to them.
package impair

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Options say what happens to every connection of a relay. The zero Options
// disturb nothing.
type Options struct {
	Up   Direction // from the client to the target
	Down Direction // from the target to the client
	Seed uint64    // of the random sizes; 0 draws one, which the test's log shows
}

// Direction says what happens to the bytes of one direction. Offsets and counts
// are in bytes of one connection.
type Direction struct {
	Segment int           // the largest write; 0 writes what was read
	Random  bool          // writes are of 1 to Segment bytes, at random
	Delay   time.Duration // before each write

	End   End   // what happens after the first After bytes have been written
	After int64 // may be 0: nothing gets through

	Corrupt []int64 // offsets of bytes whose lowest bit is flipped
	Record  bool    // keep what went out, for Recorded
}

// End is how a direction ends before its source does.
type End int

// The ends.
const (
	Never   End = iota // with its source
	Close              // both peers read EOF; what they send is discarded
	Reset              // both peers get a RST; a peer may lose bytes that it has not read yet
	Discard            // bytes are read and lost, and so is the source's end; the other direction goes on
	Stall              // nothing is read any more, so that the source's window fills
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
	conns []*connection // guarded by mu; all there have been
}

// New starts a relay to target, "host:port". It ends with the test and waits
// for its goroutines then.
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

// Conns returns how many connections there have been.
func (r *Relay) Conns() int { return len(r.all()) }

// Bytes returns how many bytes went to targets and to clients.
func (r *Relay) Bytes() (up, down int64) { return r.up.Load(), r.down.Load() }

// Recorded returns copies of the bytes that connection i, counted from 0, has
// carried so far, as they went out: without what was dropped and with what was
// corrupted. A direction without Record has none.
func (r *Relay) Recorded(i int) (up, down []byte) {
	c := r.all()[i]
	return c.up.recorded(), c.down.recorded()
}

// Break resets all connections that are open now.
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

// close ends everything and waits.
func (r *Relay) close() {
	close(r.done)
	r.listener.Close()
	r.running.Wait()
}

// newConnection registers a connection before its target can know of it. Its
// random sizes depend on the seed and its number.
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

// serve dials the target and carries one connection to its end. A client whose
// target can't be reached is reset, which may reach it while it still dials.
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
