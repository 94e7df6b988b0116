package ending

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	deliverStall = 10 * time.Second       // for which a peer may acknowledge nothing
	deliverFirst = time.Millisecond       // between the first two looks at the send queue
	deliverLast  = 100 * time.Millisecond // between two looks after a while
)

// Deliver waits until the peer's kernel has all that was written to s, so that a reset
// destroys none of it. It gives up when the peer has acknowledged nothing for ten seconds,
// and when stop is closed. It returns how many bytes are left.
func Deliver(s core.Stream, stop <-chan struct{}) (left int) {
	left = netio.SendQueue(s)
	var timer *time.Timer
	for pause, stalled := deliverFirst, time.Duration(0); left > 0 && stalled < deliverStall; pause = min(2*pause, deliverLast) {
		if timer == nil {
			timer = time.NewTimer(pause)
			defer timer.Stop()
		} else {
			timer.Reset(pause)
		}
		select {
		case <-stop:
			return left
		case <-timer.C:
		}
		now := netio.SendQueue(s)
		if stalled += pause; now != left {
			stalled = 0
		}
		left = now
	}
	return left
}

// CanReset reports whether what was written to s can be delivered before a reset.
func CanReset(s core.Stream) bool { return netio.KnowsSendQueue || netio.TCP(s) == nil }
