package manager

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	// maxDatagram is the longest request in bytes.
	maxDatagram = 65535
	// queued is how many requests wait for a change that is being made; further ones wait
	// in the socket. All of them are answered by one change.
	queued = 1024
	// pushEvery is how often the Python original tells of traffic.
	pushEvery = 10 * time.Second
	// writeTimeout is how long an answer may wait for its client.
	writeTimeout = time.Second
)

// Server takes requests from a socket.
type Server struct {
	ports  *Ports
	conn   net.PacketConn
	python bool
	queue  chan received
	bad    core.Alarm // for requests that can't be read
	done   sync.WaitGroup
	closed chan struct{}
}

// received is a request and where it is from.
type received struct {
	request
	err  error // why it can't be carried out
	from net.Addr
}

// NewServer serves the requests that come from conn, in a dialect, until Close.
func NewServer(conn net.PacketConn, dialect string, ps *Ports) *Server {
	s := &Server{ports: ps, conn: conn, python: dialect == "python", queue: make(chan received, queued), closed: make(chan struct{})}
	s.done.Go(s.read)
	s.done.Go(s.work)
	return s
}

// Close ends the server and closes its socket.
func (s *Server) Close() {
	close(s.closed)
	s.conn.Close()
	s.done.Wait()
}

// read queues what comes.
func (s *Server) read() {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := s.conn.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select { // the socket is broken for now
			case <-time.After(time.Second):
			case <-s.closed:
			}
			continue
		}
		r := received{from: from}
		r.request, r.err = parse(b[:n])
		select {
		case s.queue <- r:
		case <-s.closed:
			return
		}
	}
}

// work answers requests in their order. Changes that wait behind one another are made at
// once.
func (s *Server) work() {
	push := time.NewTicker(pushEvery)
	defer push.Stop()
	var last net.Addr // of the Python dialect: who is told of traffic
	for {
		select {
		case <-s.closed:
			return
		case <-push.C:
			if s.python && last != nil {
				s.push(last)
			}
		case r := <-s.queue:
			all := []received{r}
			for len(s.queue) > 0 {
				all = append(all, <-s.queue)
			}
			last = all[len(all)-1].from
			s.answer(all)
		}
	}
}

// answer answers requests.
func (s *Server) answer(all []received) {
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(r received) bool { return r.err != nil || !r.changes() })
		if n < 0 {
			n = len(all)
		}
		if n == 0 {
			s.say(all[0].from, s.tell(all[0]))
			all = all[1:]
			continue
		}
		changes := make([]request, n)
		for i, r := range all[:n] {
			changes[i] = r.request
		}
		for i, err := range s.ports.do(changes) {
			s.say(all[i].from, s.result(err))
		}
		all = all[n:]
	}
}

// changes reports whether a request changes the ports.
func (r request) changes() bool { return r.command == cmdAdd || r.command == cmdRemove }

// tell returns the answer to a request that changes nothing.
func (s *Server) tell(r received) []byte {
	switch {
	case r.err != nil:
		if count, say := s.bad.Count(time.Now()); say {
			s.ports.log.Warn("bad request", slog.Any("from", r.from), slog.Any("err", r.err), slog.Int("suppressed", count-1))
		}
		return []byte("err")
	case r.command == cmdList:
		return s.ports.list()
	case s.python:
		return []byte("pong")
	}
	return s.ports.stat()
}

// result returns the answer to a change.
func (s *Server) result(err error) []byte {
	switch {
	case err == nil:
		return []byte("ok")
	case errors.Is(err, ErrBusy):
		return []byte("port is not available")
	}
	return []byte("err")
}

// say sends an answer. A client that has gone gets none.
func (s *Server) say(to net.Addr, answer []byte) error {
	if to == nil || to.String() == "" {
		return net.ErrClosed
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := s.conn.WriteTo(answer, to)
	return err
}

// push tells what ports have moved since it was told last. What can't be sent is told the
// next time.
func (s *Server) push(to net.Addr) {
	s.ports.told(func(text []byte) bool { return s.say(to, text) == nil })
}

// list returns the answer to list.
func (ps *Ports) list() []byte {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return list(ps.open, ps.table.Method)
}

// stat returns what each port has moved since it was added.
func (ps *Ports) stat() []byte {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return stat(ps.open.numbers(), ps.traffic.since(ps.total()))
}

// told sends what has not been told yet, and notes what was sent.
func (ps *Ports) told(send func([]byte) bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	counts := ps.traffic.untold(ps.total())
	texts, numbers := datagrams(counts)
	for i, text := range texts {
		if !send(text) {
			continue
		}
		for _, number := range numbers[i] {
			ps.traffic.tell(number, counts[number])
		}
	}
}
