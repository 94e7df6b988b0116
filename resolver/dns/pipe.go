package dns

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	dialTimeout = 5 * time.Second  // of a connection; queries that wait for it may time out earlier
	idleTimeout = 30 * time.Second // of a connection without a query
)

// errEnded reports that the connection of a query has ended.
var errEnded = errors.New("the connection ended")

// pipe is one connection with its running queries.
type pipe struct {
	dialled chan struct{} // closed when conn is set, or the pipe has ended
	write   sync.Mutex    // held while one message is written

	mu       sync.Mutex
	conn     net.Conn           // guarded by mu, as all that follows; set once
	waiting  map[uint16]*waiter // by ID
	retired  bool               // no more queries are accepted
	ended    error              // the cause; nil while the pipe is open
	received time.Time          // when the last message arrived
}

// waiter is a query that waits for its answer.
type waiter struct {
	query
	msg chan []byte // capacity 1; closed if the connection ends first
}

func newPipe() *pipe {
	return &pipe{dialled: make(chan struct{}), waiting: map[uint16]*waiter{}}
}

// open reports whether p accepts queries.
func (p *pipe) open() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.retired && p.ended == nil
}

// run dials, and then delivers answers to their waiters until the connection or life
// ends.
func (p *pipe) run(life context.Context, dial func(context.Context) (net.Conn, error)) {
	ctx, cancel := context.WithTimeout(life, dialTimeout)
	conn, err := dial(ctx)
	cancel()
	if err != nil {
		p.end(core.NoAnswer(err, dialTimeout))
		return
	}
	defer context.AfterFunc(life, func() { p.end(errEnded) })()
	if !p.begin(conn) {
		conn.Close()
		return
	}
	p.end(p.read(conn))
}

// begin sets the connection. It returns false if p has ended meanwhile.
func (p *pipe) begin(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return false
	}
	p.conn = conn
	close(p.dialled)
	return true
}

// read reads messages until the connection ends, or is idle for idleTimeout.
func (p *pipe) read(conn net.Conn) error {
	in := bufio.NewReader(conn)
	for strangers := 0; strangers < maxStrangers; {
		if err := conn.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
			return errEnded
		}
		var size [2]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return errEnded
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(in, msg); err != nil {
			return errEnded
		}
		if !p.deliver(msg) {
			strangers++
		}
	}
	return errStrange
}

// deliver passes a message to the waiter whose query it answers. It returns false if
// there is none.
func (p *pipe) deliver(msg []byte) bool {
	if len(msg) < headerSize {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received = time.Now()
	id := binary.BigEndian.Uint16(msg)
	w := p.waiting[id]
	if w == nil || w.compare(msg) == stranger {
		return false
	}
	delete(p.waiting, id)
	w.msg <- msg
	p.closeIfDone()
	return true
}

// end closes p. All waiters get the error why.
func (p *pipe) end(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return
	}
	p.ended = why
	if p.conn == nil {
		close(p.dialled)
	} else {
		p.conn.Close()
	}
	for id, w := range p.waiting {
		delete(p.waiting, id)
		close(w.msg)
	}
}

// converse sends a query and waits for its answer.
func (p *pipe) converse(ctx context.Context, asked query) ([]byte, error) {
	select {
	case <-p.dialled:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w := &waiter{asked, make(chan []byte, 1)}
	id := binary.BigEndian.Uint16(asked.wire)
	if err := p.wait(id, w); err != nil {
		return nil, err
	}
	sent := time.Now()
	if err := p.send(ctx, asked.wire); err != nil {
		p.forget(id, w, sent)
		p.end(errEnded)
		return nil, errEnded
	}
	select {
	case msg, ok := <-w.msg:
		if !ok {
			return nil, p.cause()
		}
		return msg, nil
	case <-ctx.Done():
		p.forget(id, w, sent)
		return nil, ctx.Err()
	}
}

// wait adds a waiter.
func (p *pipe) wait(id uint16, w *waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return p.ended
	}
	if p.waiting[id] != nil {
		return errors.New("random query ID already in use") // probability 1 in 65,536 for each running query
	}
	p.waiting[id] = w
	return nil
}

// forget removes a query that had no answer in time. If no message has arrived since
// the query was sent the connection may be dead, so it is retired.
func (p *pipe) forget(id uint16, w *waiter, sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[id] == w {
		delete(p.waiting, id)
	}
	if p.received.Before(sent) {
		p.retired = true
	}
	p.closeIfDone()
}

// closeIfDone closes a retired connection without waiters. mu is held.
func (p *pipe) closeIfDone() {
	if p.retired && len(p.waiting) == 0 && p.conn != nil {
		p.conn.Close()
	}
}

// send writes one message with its length, in one write.
func (p *pipe) send(ctx context.Context, wire []byte) error {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(wire)), uint16(len(wire)))
	framed = append(framed, wire...)
	p.write.Lock()
	defer p.write.Unlock()
	if deadline, ok := ctx.Deadline(); ok {
		if err := p.conn.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	_, err := p.conn.Write(framed)
	return err
}

// cause returns the error that ended p.
func (p *pipe) cause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}
