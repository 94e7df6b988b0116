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
)

const (
	dialTimeout = 5 * time.Second  // of a connection; those who wait for it may give up before
	idleTimeout = 30 * time.Second // of a connection without a question
)

// errEnded says that the connection of a question has ended.
var errEnded = errors.New("the connection ended")

// pipe is one connection with the questions that are underway on it.
type pipe struct {
	dialled chan struct{} // closed when conn is set, or the pipe has ended
	write   sync.Mutex    // held for one message

	mu       sync.Mutex
	conn     net.Conn           // guarded by mu, as all that follows; set once
	waiting  map[uint16]*waiter // by ID
	retired  bool               // it takes no more questions
	ended    error              // why; nil while it is open
	received time.Time          // when the last message came
}

// waiter is a question that waits for its answer.
type waiter struct {
	query
	msg chan []byte // of one; closed if the connection ends before
}

func newPipe() *pipe {
	return &pipe{dialled: make(chan struct{}), waiting: map[uint16]*waiter{}}
}

// open reports whether p takes questions.
func (p *pipe) open() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.retired && p.ended == nil
}

// run dials, and then gives the answers that come to those who wait, until the
// connection ends or life does.
func (p *pipe) run(life context.Context, dial func(context.Context) (net.Conn, error)) {
	ctx, cancel := context.WithTimeout(life, dialTimeout)
	conn, err := dial(ctx)
	cancel()
	if err != nil {
		p.end(err)
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

// read reads messages until the connection ends, or idles.
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

// deliver gives a message to whom it answers, and returns false if that is nobody.
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
	p.leave()
	return true
}

// end closes p, for a reason that those who wait are told.
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
			return nil, p.why()
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
		return errors.New("random query ID already in use") // one in 65,536 for each question underway
	}
	p.waiting[id] = w
	return nil
}

// forget takes back a question that had no answer in time. A connection on which
// nothing came since it was sent may be dead, so it takes no more.
func (p *pipe) forget(id uint16, w *waiter, sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[id] == w {
		delete(p.waiting, id)
	}
	if p.received.Before(sent) {
		p.retired = true
	}
	p.leave()
}

// leave closes a connection that takes no more questions once nobody waits. mu is
// held.
func (p *pipe) leave() {
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

// why returns why p has ended.
func (p *pipe) why() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}
