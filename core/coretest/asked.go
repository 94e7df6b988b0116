package coretest

import "github.com/umbra-proxy/umbra/core"

// Asked records the requests of a handshake. It implements inbound.Requests.
type Asked struct {
	Request        *core.Request       // the last request; nil if there was none
	Pending        core.Pending        // of a stream
	PendingPackets core.PendingPackets // of an association
	More           func() error        // answers Again; nil for core.ErrShutdown
}

// Stream records r.
func (a *Asked) Stream(r *core.Request, p core.Pending) { a.Request, a.Pending = r, p }

// Packets records r.
func (a *Asked) Packets(r *core.Request, p core.PendingPackets) { a.Request, a.PendingPackets = r, p }

// Again returns the result of More.
func (a *Asked) Again() error {
	if a.More == nil {
		return core.ErrShutdown
	}
	return a.More()
}

// Reject rejects the recorded client.
func (a *Asked) Reject(cause error) {
	if a.Pending != nil {
		a.Pending.Reject(cause)
		return
	}
	a.PendingPackets.Reject(cause)
}
