package dns

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	resendAfter  = 700 * time.Millisecond // a datagram may be lost
	maxStrangers = 64                     // mismatched messages accepted for one query
	udpBuffer    = 4096                   // larger than the advertised udpSize
)

// errOversized reports a datagram larger than udpBuffer.
var errOversized = errors.New("datagram larger than the advertised size")

// udpWire queries by UDP. Each query has its own socket, with a random port from the
// system, a random 16-bit ID and random letter case; the answer must match all of them
// (RFC 5452 §9). If it does not, or if the answer is too long, the query is repeated
// by TCP.
type udpWire struct {
	at  *endpoint
	tcp *streamWire
	old atomic.Bool // the server does not support EDNS

	buffers sync.Pool // of *[udpBuffer]byte
}

// exchange implements wire.
func (w *udpWire) exchange(ctx context.Context, q question) (reply, error) {
	if w.at.dialer.CheckPackets() != nil {
		return w.tcp.exchange(ctx, q)
	}
	old := w.old.Load()
	r, err := w.once(ctx, q, form{id: true, mixed: true, edns: !old})
	if err != nil || old || r.rcode != dns.RcodeFormatError && r.rcode != dns.RcodeNotImplemented {
		return r, err
	}
	again, err := w.once(ctx, q, form{id: true, mixed: true})
	if err != nil {
		return r, nil
	}
	w.old.Store(again.rcode == dns.RcodeSuccess || again.rcode == dns.RcodeNameError)
	return again, nil
}

func (w *udpWire) close() { w.tcp.close() }

// once sends a question and waits for its answer.
func (w *udpWire) once(ctx context.Context, q question, f form) (reply, error) {
	asked, err := newQuery(q, f)
	if err != nil {
		return reply{}, err
	}
	socket, err := w.open(ctx)
	if err != nil {
		return reply{}, err
	}
	defer socket.close()
	buf, ok := w.buffers.Get().(*[udpBuffer]byte)
	if !ok {
		buf = new([udpBuffer]byte)
	}
	defer w.buffers.Put(buf)
	msg, err := converse(ctx, socket, asked, buf[:])
	switch {
	case errors.Is(err, errStrange), errors.Is(err, errOversized):
		return w.tcp.exchange(ctx, q)
	case err != nil:
		w.at.missed()
		return reply{}, err
	}
	r, err := parseReply(msg, len(asked.section))
	if err == nil && r.truncated {
		return w.tcp.exchange(ctx, q)
	}
	return r, err
}

// errStrange reports answers that do not match the query, or differ from it in letter
// case: they are forged, or the server does not preserve the case.
var errStrange = errors.New("answers do not match the query")

// converse sends a query, again if there is no answer within resendAfter, and returns
// the message that answers it, in buf. Other messages are ignored.
func converse(ctx context.Context, s datagrams, asked query, buf []byte) ([]byte, error) {
	if err := s.send(asked.wire); err != nil {
		return nil, err
	}
	until := time.Now().Add(resendAfter)
	for strangers := 0; strangers < maxStrangers; strangers++ {
		n, err := s.receive(ctx, buf, until)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := s.send(asked.wire); err != nil {
				return nil, err
			}
			until = time.Now().Add(time.Hour) // ctx ends before
			continue
		case err != nil:
			return nil, err
		}
		switch asked.compare(buf[:n]) {
		case same:
			if n == len(buf) {
				return nil, errOversized
			}
			return buf[:n], nil
		case folded:
			return nil, errStrange
		}
	}
	return nil, errStrange
}

// datagrams exchanges datagrams with one server.
type datagrams interface {
	send(b []byte) error
	// receive returns the next datagram, os.ErrDeadlineExceeded after until, or
	// any error once ctx has ended.
	receive(ctx context.Context, buf []byte, until time.Time) (int, error)
	close()
}

// open opens a new socket for one query.
func (w *udpWire) open(ctx context.Context) (datagrams, error) {
	if w.at.via {
		return openSession(ctx, w.at)
	}
	to, err := w.at.address(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		w.at.missed()
		return nil, err
	}
	s := &socket{conn: conn}
	s.stop = context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	return s, nil
}

// socket is a connected UDP socket, so that the kernel drops datagrams from other
// addresses.
type socket struct {
	conn *net.UDPConn
	stop func() bool
}

func (s *socket) send(b []byte) error {
	_, err := s.conn.Write(b)
	return err
}

func (s *socket) receive(ctx context.Context, buf []byte, until time.Time) (int, error) {
	if err := s.conn.SetReadDeadline(until); err != nil {
		return 0, err
	}
	if ctx.Err() != nil { // ctx ended before the deadline was set
		return 0, ctx.Err()
	}
	return s.conn.Read(buf)
}

func (s *socket) close() {
	s.stop()
	s.conn.Close()
}
