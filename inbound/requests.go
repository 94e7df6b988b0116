package inbound

import (
	"errors"
	"log/slog"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

// Stream passes a request for a stream on. It implements Requests.
func (h *handshake) Stream(r *core.Request, p core.Pending) {
	h.complete(r, core.TCP)
	h.pipeline.handler.HandleStream(h.pipeline.ctx, r, p, h.live)
}

// Packets passes a request for an association on. It implements Requests.
func (h *handshake) Packets(r *core.Request, p core.PendingPackets) {
	h.complete(r, core.UDP)
	h.pipeline.handler.HandlePackets(h.pipeline.ctx, r, p, h.live)
}

// complete sets the fields of a request that a kind does not set.
func (h *handshake) complete(r *core.Request, n core.Network) {
	h.passedOn = true
	_ = h.conn.SetDeadline(time.Time{})
	r.ID, r.Network, r.Client = h.server.cfg.Env.Process.NextID(), n, h.client
	r.Accepted, r.Admitted = h.accepted, h.admitted
	r.Wire = h.conn
	if r.Flow == nil {
		r.Flow = new(core.Flow)
	}
}

// live ends the handshake: from now on the pipeline counts the connection.
func (h *handshake) live() {
	h.server.strangers.Remove(&h.stranger)
	_ = h.conn.SetDeadline(time.Time{}) // a concurrent eviction may have set a deadline
}

// Again starts another handshake on the connection, for the next request. It implements
// Requests.
func (h *handshake) Again() error {
	if h.refused = h.readmit(); h.refused != nil {
		h.closing = true
		return h.refused
	}
	h.refused = h.pipeline.handler.Admit(h.client)
	if h.admitted = time.Now(); h.refused != nil {
		return h.refused
	}
	h.passedOn, h.later = false, true
	return nil
}

// readmit puts the connection back into the set of handshakes.
func (h *handshake) readmit() error {
	switch {
	case h.pipeline.ctx.Err() != nil:
		return core.ErrShutdown
	case h.ctx.Err() != nil: // evicted just before the last request was known
		return core.ErrCrowded
	}
	h.accepted = time.Now()
	h.deadline = h.accepted.Add(h.server.cfg.Timeout)
	return h.server.strangers.AddAgain(&h.stranger, func() { _ = h.conn.SetDeadline(h.deadline) })
}

// causeOfRefusal returns the error with which to end a connection for which Again has
// returned an error, or nil if it is closed at once. A connection that a gate refused is
// ended as that of any refused client. err is the error of the Handshaker.
func (h *handshake) causeOfRefusal(wire core.Stream, err error) error {
	panics.Log(h.server.cfg.Env.Log, "handshake panicked", err, slog.Any("client", h.client.Addr))
	switch {
	case h.closing:
		wire.Close()
		return nil
	case errors.Is(err, h.refused): // err may name the protocol that serves the connection
		return err
	default:
		return h.refused
	}
}
