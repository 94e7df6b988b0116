package ending

import (
	"errors"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	tarpitTime = time.Hour   // the longest time that a client is held
	tarpitStep = time.Second // between two reads of one byte each
)

// Refuse ends a connection in the way that cause, the error of a gate, selects. It
// returns false if the cause selects no way: then the inbound chooses.
func Refuse(conn core.Stream, cause error) bool {
	refusal, ok := errors.AsType[*core.Refusal](cause)
	if !ok {
		return false
	}
	switch refusal.End {
	case core.EndDrained:
		Drain(conn)
	case core.EndClosed:
		Dismiss(conn)
	case core.EndReset:
		Reset(conn)
	case core.EndTarpit:
		Tarpit(conn)
	default:
		return false
	}
	return true
}

// Tarpit reads a byte a second from a client and sends nothing, for an hour at most. The
// caller can end it sooner by setting conn's deadline.
func Tarpit(conn core.Stream) {
	_ = conn.SetDeadline(time.Now().Add(tarpitTime))
	for b := make([]byte, 1); ; time.Sleep(tarpitStep) {
		if err := netio.WaitReadable(conn); err != nil {
			return
		}
		if _, err := conn.Read(b); err != nil {
			return
		}
	}
}
