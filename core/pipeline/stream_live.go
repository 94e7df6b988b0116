package pipeline

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// What a live set asks of a stream.
var _ connection = (*stream)(nil)

func (s *stream) flow() *core.Flow                           { return s.request.Flow }
func (*stream) network() core.Network                        { return core.TCP }
func (s *stream) activity() *activity                        { return &s.sweeps }
func (s *stream) user() string                               { return s.request.User }
func (s *stream) id() uint64                                 { return s.request.ID }
func (*stream) idleTimeout(most time.Duration) time.Duration { return most }
func (s *stream) progress() int64                            { return s.request.Flow.Up.Load() + s.request.Flow.Down.Load() }

func (s *stream) inQueues() int {
	if !s.in(Relaying) {
		return 0
	}
	return s.bytes.inQueues()
}

// lasts has the kernel look after the upstream side of a stream from its first
// sweep on: most end sooner and are spared the system calls. Clients' sides have
// that from their listener, with the default time.
func (s *stream) lasts() {
	if s.keptAlive || !s.in(Relaying) {
		return
	}
	s.keptAlive = true
	every := s.pipeline.cfg.KeepAlive
	if every == 0 {
		every = netio.KeepAliveTime
	}
	keepAlive(s.upstream, every)
	if every != netio.KeepAliveTime {
		keepAlive(s.client, every)
	}
}

// keepAlive sets the keep-alive time of the connection under s.
func keepAlive(s core.Stream, every time.Duration) {
	tcp := netio.TCP(s)
	switch { // an error means that the connection has just been closed
	case tcp == nil:
	case every == Never:
		_ = tcp.SetKeepAlive(false)
	default:
		_ = tcp.SetKeepAliveConfig(netio.KeepAliveEvery(every))
	}
}

func (s *stream) snapshot() Connection {
	s.mu.Lock()
	state := s.state
	s.mu.Unlock()
	var reached time.Time
	if state == Relaying { // before that, another goroutine may be setting it
		reached = s.reached
	}
	c := s.pipeline.connection(core.TCP, s.request, s.request.Client, state, s.stages(reached))
	c.Target = s.request.Target
	return c
}

// become sets the state.
func (s *stream) become(state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

func (s *stream) in(state State) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == state
}
