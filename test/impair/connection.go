package impair

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connection is a client's connection and, once it is dialled, the connection to the target.
type connection struct {
	up, down  *flow
	finishing atomic.Bool   // a flow has reached its Close
	ended     chan struct{} // closed when the sockets must be closed

	mu      sync.Mutex
	sockets []*net.TCPConn // guarded by mu
	over    bool           // guarded by mu; ended is closed
}

// add makes s part of the connection. It returns false, with s reset, if the
// connection has ended.
func (c *connection) add(s *net.TCPConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		reset(s)
		return false
	}
	c.sockets = append(c.sockets, s)
	return true
}

// run moves bytes until both directions have ended or done closes.
func (c *connection) run(done <-chan struct{}) {
	var flows sync.WaitGroup
	flows.Go(c.up.run)
	flows.Go(c.down.run)
	both := make(chan struct{})
	go func() {
		defer close(both)
		flows.Wait()
	}()
	select {
	case <-both:
	case <-done:
	}
	c.close()
	<-both
}

// close closes the sockets in order, unless they are closed.
func (c *connection) close() {
	for _, s := range c.end() {
		s.Close()
	}
}

// reset closes the sockets with a RST, unless they are closed.
func (c *connection) reset() {
	for _, s := range c.end() {
		reset(s)
	}
}

// end ends the connection and returns the sockets to close, or nil if it has ended before.
func (c *connection) end() []*net.TCPConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil
	}
	c.over = true
	close(c.ended)
	return c.sockets
}

// reset closes s with a RST.
func reset(s *net.TCPConn) {
	_ = s.SetLinger(0) // fails only for a closed socket
	s.Close()
}

// flow is one direction of a connection.
type flow struct {
	Direction
	c        *connection
	src, dst *net.TCPConn
	count    *atomic.Int64
	rand     *rand.Rand
	sent     int64 // bytes written to dst

	mu  sync.Mutex
	rec []byte // guarded by mu
}

// errOver is the error of a flow that has reached the End in its options.
var errOver = errors.New("over")

// run moves bytes until EOF of the source, which is forwarded, or until the flow's End. An error
// on one side ends both sides.
func (f *flow) run() {
	err := f.move()
	switch {
	case err == errOver:
		f.end()
	case err != nil && f.c.finishing.Load():
		f.drain() // the other flow has ended the connection
	case err != nil:
		f.c.reset()
	}
}

func (f *flow) move() error {
	if f.isOver() {
		return errOver
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := f.src.Read(buf)
		if err := f.forward(buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return f.dst.CloseWrite()
		}
		if err != nil {
			return err
		}
	}
}

// forward writes p in segments. It returns errOver as soon as the flow reaches its End.
func (f *flow) forward(p []byte) error {
	for len(p) > 0 {
		n := f.next(len(p))
		if !f.wait() {
			return net.ErrClosed
		}
		f.corrupt(p[:n])
		f.keep(p[:n]) // before the write, so that a test that receives the bytes finds them counted
		if _, err := f.dst.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
		if f.isOver() {
			return errOver
		}
	}
	return nil
}

// isOver reports whether all bytes before the End have been written.
func (f *flow) isOver() bool { return f.End != Never && f.sent >= f.After }

// next returns the size of the next write, at most n.
func (f *flow) next(n int) int {
	if f.Segment > 0 {
		size := f.Segment
		if f.Random {
			size = 1 + f.rand.IntN(f.Segment)
		}
		n = min(n, size)
	}
	if f.End != Never {
		n = int(min(int64(n), f.After-f.sent))
	}
	return n
}

// wait waits for the delay. It returns false if the connection ended.
func (f *flow) wait() bool {
	if f.Delay <= 0 {
		return true
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.c.ended:
		return false
	}
}

// corrupt flips bits of the next bytes to be written.
func (f *flow) corrupt(p []byte) {
	for _, at := range f.Corrupt {
		if i := at - f.sent; i >= 0 && i < int64(len(p)) {
			p[i] ^= 1
		}
	}
}

// keep counts and records the written bytes.
func (f *flow) keep(p []byte) {
	f.sent += int64(len(p))
	f.count.Add(int64(len(p)))
	if !f.Record {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rec = append(f.rec, p...)
}

func (f *flow) recorded() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.rec)
}

// end carries out the flow's End.
func (f *flow) end() {
	switch f.End {
	case Close:
		f.finish()
	case Reset:
		f.c.reset()
	case Discard:
		f.drain()
		<-f.c.ended
	case Stall:
		<-f.c.ended
	}
}

// finish sends a FIN to both peers. Closing with unread bytes would send a RST instead, so the
// bytes of the peers are read first.
func (f *flow) finish() {
	f.c.finishing.Store(true)
	_ = f.dst.CloseWrite() // fails only if the peer is gone
	_ = f.src.CloseWrite()
	f.drain()
}

// drain reads until the end of the source.
func (f *flow) drain() { _, _ = io.Copy(io.Discard, f.src) }
