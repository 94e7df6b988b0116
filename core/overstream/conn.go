package overstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Open opens the stream of an association; first are its first bytes, which are sent.
type Open func(ctx context.Context, first []byte) (core.Stream, error)

// Queue is the usual Options.Queue.
const Queue = 256 << 10

// Options are those of a PacketConn over a stream.
type Options struct {
	Flow    *core.Flow
	Queue   int           // bytes of datagrams that wait for the stream
	Timeout time.Duration // of Open
}

// conn is a PacketConn over a stream. Nothing on the way waits: a goroutine writes to the
// stream what WritePackets has queued, and another one reads.
type conn struct {
	Options
	open Open          // nil if the stream is there
	one  core.Addr     // valid if all datagrams have one target, which goes without saying
	wake chan struct{} // wakes write; capacity 1
	ctx  context.Context
	stop context.CancelFunc // ends ctx

	mu      sync.Mutex
	queue   []byte          // frames; guarded by mu, as all that follows
	first   core.Addr       // the target of the first datagram
	stream  core.Stream     // nil until it is open
	sink    core.PacketSink // nil until Receive
	writing bool            // run has begun
	reading bool            // read has begun
	closed  bool
	rest    []byte // of the stream, read before it was given to NewServer
}

// NewClient returns a PacketConn over a stream that is opened at the first datagram, by
// asking for Target. Later failures cut the flow.
func NewClient(o Options, open Open) core.PacketConn { return newConn(o, open) }

func newConn(o Options, open Open) *conn {
	c := &conn{Options: o, open: open, wake: make(chan struct{}, 1)}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// WritePackets queues datagrams for the stream. Those for which there is no room are dropped.
func (c *conn) WritePackets(ps []core.Packet) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	n := 0
	for _, p := range ps {
		switch {
		case len(p.Data) > 0xffff:
			c.Flow.Drop(core.DropLong, 1)
		case len(c.queue)+maxHeader+len(p.Data) > c.Queue:
			c.Flow.Drop(core.DropFull, 1)
		default:
			if !c.first.IsValid() {
				c.first = p.Addr
			}
			c.queue = appendFrame(c.queue, p, c.one.IsValid())
			n++
		}
	}
	if n > 0 {
		c.begin()
		select {
		case c.wake <- struct{}{}:
		default: // it is awake, and covers these
		}
	}
	return n, nil
}

// begin starts run. mu is held.
func (c *conn) begin() {
	if !c.writing {
		c.writing = true
		go c.run()
	}
}

// Receive passes what arrives to sink.
func (c *conn) Receive(sink core.PacketSink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sink = sink
	if c.open == nil {
		c.begin()
	}
	c.beginRead()
}

// beginRead has the stream read, once there are a stream and a sink: datagrams may be sent
// before Receive, and meanwhile. mu is held.
func (c *conn) beginRead() {
	if c.stream != nil && c.sink != nil && !c.reading {
		c.reading = true
		go c.end(c.read)
	}
}

// Close closes the stream.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	stream := c.stream
	c.mu.Unlock()
	c.stop()
	if stream != nil {
		return stream.Close()
	}
	return nil
}

// end runs f and cuts the flow for its error, or for its panic.
func (c *conn) end(f func() error) {
	err := panics.Call(f)
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if err != nil && !closed {
		c.Flow.Cut(err)
	}
}

// run opens the stream if need be, has it read, and writes to it.
func (c *conn) run() {
	c.end(func() error {
		if c.open != nil {
			if err := c.dial(); err != nil {
				return core.Unopened(core.NoAnswer(err, c.Timeout))
			}
		}
		c.mu.Lock()
		stream := c.stream
		c.beginRead()
		c.mu.Unlock()
		if tcp := netio.TCP(stream); tcp != nil {
			_ = tcp.SetKeepAliveConfig(netio.KeepAlive()) // an error means that it has just been closed
		}
		return c.write(stream)
	})
}

// maxFirst is how many bytes of what is queued leave with the request. The rest is written
// once Close knows the stream, because a server that reads nothing holds up a long write.
const maxFirst = 16 << 10

// dial opens the stream. What is queued by then leaves with the request, up to maxFirst.
func (c *conn) dial() error {
	ctx, cancel := context.WithTimeout(c.ctx, c.Timeout)
	defer cancel()
	c.mu.Lock()
	n := min(len(c.queue), maxFirst)
	first := append(appendRequest(nil, c.first), c.queue[:n]...)
	c.queue = c.queue[n:]
	c.mu.Unlock()
	stream, err := c.open(ctx, first)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		stream.Close()
		return net.ErrClosed
	}
	c.stream = stream
	return nil
}

// write writes what is queued until the connection is closed.
func (c *conn) write(stream core.Stream) error {
	var spare []byte
	for {
		c.mu.Lock()
		frames := c.queue
		c.queue = spare[:0]
		c.mu.Unlock()
		if len(frames) > 0 {
			if _, err := stream.Write(frames); err != nil {
				return err
			}
		}
		spare = frames
		if cap(spare) > 64<<10 {
			spare = nil // of a burst
		}
		if len(frames) > 0 {
			continue
		}
		select {
		case <-c.wake:
		case <-c.ctx.Done():
			return nil
		}
	}
}

// Sizes of the buffer for what is read: small at first, and large enough for any datagram
// once one does not fit.
const (
	smallBuffer = 4 << 10
	largeBuffer = maxHeader + 0xffff
)

// read passes the stream's datagrams to the sink until the stream ends.
func (c *conn) read() error {
	c.mu.Lock()
	stream, sink, rest := c.stream, c.sink, c.rest
	c.rest = nil
	c.mu.Unlock()
	b := make([]byte, max(smallBuffer, len(rest)))
	n := copy(b, rest)
	var ps [netio.MaxBurst]core.Packet
	answered := c.open == nil
	for {
		used, err := c.deliver(b[:n], ps[:], sink)
		if err != nil {
			return err
		}
		answered = answered || used > 0
		n = copy(b, b[used:n])
		if n == len(b) {
			b = append(make([]byte, 0, largeBuffer), b[:n]...)[:largeBuffer]
		}
		more, err := stream.Read(b[n:])
		if n += more; err != nil && more == 0 {
			if n > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if !answered {
				return core.Unopened(fmt.Errorf("the server ended the stream before an answer; does it serve UDP over streams? %w", err))
			}
			return err
		}
	}
}

// deliver passes all whole datagrams in b to the sink, and returns how many bytes they have.
func (c *conn) deliver(b []byte, ps []core.Packet, sink core.PacketSink) (used int, err error) {
	count := 0
	for {
		p, size, err := parseFrame(b[used:], c.one)
		short := errors.Is(err, core.ErrShort)
		if err != nil && !short {
			return used, err
		}
		if count > 0 && (short || count == len(ps)) {
			sink(ps[:count])
			count = 0
		}
		if short {
			return used, nil
		}
		ps[count] = p
		count++
		used += size
	}
}
