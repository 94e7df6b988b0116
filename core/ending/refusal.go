package ending

import (
	"errors"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	tarpitTime = time.Hour   // for which a client is held at the most
	tarpitStep = time.Second // between one byte that is taken from it and the next
)

// Refuse ends a connection as a gate has asked for. It reports false if that is up to
// the inbound.
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

// Tarpit takes a byte a second from a client and sends nothing, for an hour at most.
// Setting conn's deadline meanwhile ends it.
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
