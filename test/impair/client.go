package impair

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
)

// packetClient is one client of a PacketRelay.
type packetClient struct {
	addr     netip.AddrPort
	socket   *net.UDPConn // the relay's socket for all clients
	upstream *net.UDPConn // to the target
	up, down *lane
}

// newClient registers a client before the target can receive from it. The random decisions
// depend on the seed, the client's number and the direction, not on the interleaving of
// datagrams of different lanes.
func (r *PacketRelay) newClient(addr netip.AddrPort) (*packetClient, error) {
	conn, err := net.Dial("udp", r.target)
	if err != nil {
		return nil, err
	}
	c := &packetClient{addr: addr, socket: r.socket, upstream: conn.(*net.UDPConn)}
	grow(c.upstream)
	r.mu.Lock()
	i := 2 * uint64(len(r.clients))
	c.up = newLane(r.options.Up, &r.up, rand.New(rand.NewPCG(r.seed, i)), c.toTarget)
	c.down = newLane(r.options.Down, &r.down, rand.New(rand.NewPCG(r.seed, i+1)), c.toClient)
	r.clients = append(r.clients, c)
	r.mu.Unlock()
	r.running.Go(func() { c.up.run(r.done) })
	r.running.Go(func() { c.down.run(r.done) })
	r.running.Go(c.answer)
	return c, nil
}

// answer receives the datagrams of the target for the client until the socket is closed.
func (c *packetClient) answer() {
	b := make([]byte, packetRoom)
	for {
		n, err := c.upstream.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the target was not listening
		}
		c.down.put(b[:n])
	}
}

// toTarget sends p. The system may report an earlier refused datagram here instead of sending
// p, so toTarget tries again: the target may be listening now.
func (c *packetClient) toTarget(p []byte) error {
	_, err := c.upstream.Write(p)
	if errors.Is(err, syscall.ECONNREFUSED) {
		_, err = c.upstream.Write(p)
	}
	return err
}

func (c *packetClient) toClient(p []byte) error {
	_, err := c.socket.WriteToUDPAddrPort(p, c.addr)
	return err
}
