package ssh

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

var (
	// errBroken says that the library has given a connection up.
	errBroken = errors.New("the SSH connection broke")
	// errSilent says that a server has answered no keepalive request.
	errSilent = errors.New("the server answers no keepalive request")
	// errUnused says that a connection had no stream for its idle timeout.
	errUnused = errors.New("no stream for a while")
)

// closeTime is how long the server may take to confirm the end of a channel before the
// channel counts as ended: until then its last bytes may be on their way to the target.
const closeTime = 10 * time.Second

// session is one SSH connection.
type session struct {
	conn ssh.Conn
	wire *wire
	log  *slog.Logger
	idle time.Duration // without a stream, after which it ends

	running sync.WaitGroup
	done    chan struct{} // closed at the end

	mu      sync.Mutex
	busy    int         // streams that are opening, open or ending; guarded by mu, as all below
	retired bool        // it ends with its last stream
	over    bool        // no goroutine is started any more
	unused  *time.Timer // ends a session without streams; nil if that may stay
}

// newSession returns the session of a connection that is logged in, and serves it until it
// ends. keepAlive is the time between two keepalive requests.
func newSession(conn ssh.Conn, chans <-chan ssh.NewChannel, requests <-chan *ssh.Request, w *wire, o *Outbound) *session {
	s := &session{conn: conn, wire: w, log: o.log, idle: o.idle, done: make(chan struct{})}
	s.run(func() { ssh.DiscardRequests(requests) })
	s.run(func() {
		for c := range chans {
			_ = c.Reject(ssh.Prohibited, "no channels to clients")
		}
	})
	if s.idle > 0 {
		s.unused = time.AfterFunc(s.idle, s.endUnused)
	}
	if o.keepAlive > 0 {
		s.run(func() { s.watch(o.keepAlive) })
	}
	s.run(s.wait)
	return s
}

// run starts f in a goroutine that the end of the session waits for. It returns false if the
// session has ended.
func (s *session) run(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.running.Go(func() {
		err := panics.Call(func() error {
			f()
			return nil
		})
		if err != nil {
			s.log.Error("ssh connection panicked", slog.Any("err", err))
			s.end(err)
		}
	})
	return true
}

// wait waits for the end of the connection.
func (s *session) wait() {
	err := s.conn.Wait()
	_ = s.wire.Close()
	s.mu.Lock()
	s.over = true
	busy := s.busy
	if s.unused != nil {
		s.unused.Stop()
	}
	s.mu.Unlock()
	close(s.done)
	switch reason := s.wire.loss(); {
	case errors.Is(reason, errUnused), errors.Is(reason, core.ErrShutdown):
		s.log.Debug("ssh connection closed", slog.Any("err", reason))
	default:
		if reason == errBroken && err != nil {
			reason = err
		}
		s.log.Info("ssh connection lost", slog.Any("err", reason), slog.Int("streams", busy))
	}
}

// end ends the connection for a reason. It does not wait.
func (s *session) end(reason error) { _ = s.wire.end(reason) }

// shutdown ends the connection once its streams have ended, which must be closed, and waits.
func (s *session) shutdown(ctx context.Context) {
	s.retire()
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	s.end(core.ErrShutdown)
	s.running.Wait()
}

// retire ends the connection as soon as it has no stream.
func (s *session) retire() {
	s.mu.Lock()
	s.retired = true
	unused := s.busy == 0
	s.mu.Unlock()
	if unused {
		s.end(core.ErrShutdown)
	}
}

// retireLater is retire for a session that has had no stream yet.
func (s *session) retireLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
}

// acquire counts a stream. It returns false if the connection is lost.
func (s *session) acquire() bool {
	if s.wire.loss() != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	if s.busy++; s.unused != nil {
		s.unused.Stop()
	}
	return true
}

// release counts the end of a stream.
func (s *session) release() {
	s.mu.Lock()
	s.busy--
	unused := s.busy == 0
	if unused && s.unused != nil && !s.over {
		s.unused.Reset(s.idle)
	}
	retired := s.retired
	s.mu.Unlock()
	if unused && retired {
		s.end(core.ErrShutdown)
	}
}

// endUnused ends the connection if it still has no stream.
func (s *session) endUnused() {
	s.mu.Lock()
	unused := s.busy == 0
	s.mu.Unlock()
	if unused {
		s.end(errUnused)
	}
}

// load returns the number of streams.
func (s *session) load() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy
}

// direct is the data of a channel of type direct-tcpip (RFC 4254 §7.2).
type direct struct {
	Host       string
	Port       uint32
	Originator string
	OriginPort uint32
}

// errLost says that the connection was lost before the server answered.
var errLost = errors.New("the SSH connection was lost")

// open opens a stream to target until ctx ends. The session has been acquired for it. The
// server is not told whose request it is.
func (s *session) open(ctx context.Context, target core.Addr) (*stream, error) {
	type result struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	opened := make(chan result)
	data := ssh.Marshal(&direct{Host: target.Host(), Port: uint32(target.Port()), Originator: "0.0.0.0"})
	started := s.run(func() {
		c, requests, err := s.conn.OpenChannel("direct-tcpip", data)
		select {
		case opened <- result{c, requests, err}:
			return
		case <-ctx.Done():
		}
		if err == nil { // nobody waits for it any more
			_ = c.Close()
			ssh.DiscardRequests(requests)
		}
		s.release()
	})
	if !started {
		s.release()
		return nil, errLost
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case r := <-opened:
		if r.err == nil {
			st := newStream(r.channel, s)
			if st.start(r.requests) {
				return st, nil
			}
			r.err = errLost
		}
		s.release()
		return nil, s.openError(r.err)
	}
}

// openError returns the error of a channel that was not opened.
func (s *session) openError(err error) error {
	if refused, ok := errors.AsType[*ssh.OpenChannelError](err); ok {
		return refusal(refused)
	}
	if reason := s.wire.loss(); reason != nil && reason != errBroken {
		return lostError{reason}
	}
	if err == io.EOF { // as the library says it
		return errLost
	}
	return lostError{err}
}

// lostError is errLost with its reason.
type lostError struct{ reason error }

func (e lostError) Error() string   { return errLost.Error() + ": " + lossText(e.reason) }
func (e lostError) Unwrap() []error { return []error{errLost, e.reason} }

// lossText says why a connection was lost.
func lossText(reason error) string {
	if reason == io.EOF {
		return "the server closed it"
	}
	return reason.Error()
}
