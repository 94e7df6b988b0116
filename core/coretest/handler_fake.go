package coretest

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// Handler is a core.Handler that passes its requests to the test. NewHandler returns one.
// Its Gate admits every client unless Deny is set. The test sends the events of the
// requests that it has received.
type Handler struct {
	*Gate
	served chan Served
}

// Served is one request to a Handler.
type Served struct {
	Context context.Context // the context of the inbound's Serve
	Request *core.Request
	Pending core.Pending        // of a stream
	Packets core.PendingPackets // of an association
}

var _ core.Handler = (*Handler)(nil)

// NewHandler returns a Handler that queues up to 64 requests for the test; further
// requests wait.
func NewHandler() *Handler {
	return &Handler{Gate: new(Gate), served: make(chan Served, 64)}
}

// HandleStream passes the stream to the test and returns. Request.Ended is called when
// the test closes the client's stream or rejects the client; before that the test must
// send the event that ends the request.
func (h *Handler) HandleStream(ctx context.Context, r *core.Request, p core.Pending, live func()) {
	if live != nil {
		live()
	}
	if r.Ended != nil {
		p = &endingPending{Pending: p, ended: sync.OnceFunc(r.Ended)}
	}
	h.served <- Served{Context: ctx, Request: r, Pending: p}
}

// endingPending calls ended when the client's stream is closed, or the client is
// rejected.
type endingPending struct {
	core.Pending
	ended func()
}

func (p *endingPending) Accept() (core.Stream, error) {
	s, err := p.Pending.Accept()
	if err != nil {
		return nil, err
	}
	return &endingStream{s, p.ended}, nil
}

func (p *endingPending) Reject(cause error) {
	p.Pending.Reject(cause)
	p.ended()
}

type endingStream struct {
	core.Stream
	ended func()
}

func (s *endingStream) Close() error {
	defer s.ended()
	return s.Stream.Close()
}

// HandlePackets passes the association to the test and returns.
func (h *Handler) HandlePackets(ctx context.Context, r *core.Request, p core.PendingPackets, live func()) core.Association {
	if live != nil {
		live()
	}
	h.served <- Served{Context: ctx, Request: r, Packets: p}
	return still{}
}

// Admit calls the gate, as a pipeline does: not for unattributed clients, which a
// balancer does not name.
func (h *Handler) Admit(c core.Client) error {
	if c.Unattributed {
		return nil
	}
	return h.Gate.Admit(c)
}

// Observe notifies the gate, under the same rule.
func (h *Handler) Observe(e core.Event) {
	if !e.Client.Unattributed {
		h.Gate.Observe(e)
	}
}

// Next returns the next request.
func (h *Handler) Next(t testing.TB) Served {
	t.Helper()
	return Await(t, "a request", h.served)
}

// Waiting returns how many requests the test has not fetched.
func (h *Handler) Waiting() int { return len(h.served) }

// still is an association whose client may move to any address.
type still struct{}

func (still) Move(netip.AddrPort) error { return nil }
