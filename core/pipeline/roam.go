package pipeline

import (
	"net"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// Move asks the gates about the address that the client sends from now. If they
// admit it, they are notified that the client has left the earlier one.
func (a *association) Move(to netip.AddrPort) error {
	a.moving.Lock()
	defer a.moving.Unlock()
	a.mu.Lock()
	left := a.from
	a.mu.Unlock()
	next := left
	next.Addr = to
	if err := a.pipeline.askGates(next); err != nil {
		return err
	}
	a.mu.Lock()
	ended := a.state == Ended
	if ended {
		left = next // the end was reported for the earlier address
	} else {
		a.from = next
	}
	moved := a.event(core.Moved, left, nil)
	if !ended {
		moved.Next = to
	}
	a.mu.Unlock()
	if ended {
		a.pipeline.tellGates(moved)
		return net.ErrClosed
	}
	a.pipeline.Observe(moved)
	return nil
}
