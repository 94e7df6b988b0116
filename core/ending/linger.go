package ending

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	lingerSilence = time.Second            // after which the peer has nothing more on its way
	lingerMost    = 10 * time.Second       // for a peer that goes on sending
	lingerBytes   = 16 << 20               // which is more than both kernels' queues
	lingerFirst   = time.Millisecond       // between two looks after bytes have come
	lingerLast    = 100 * time.Millisecond // between two looks after a while
)

// Finish is Dismiss for a peer that has proved a key. It may be uploading, by any number of
// bytes, which are read as Linger does: a close before their end would be a reset.
func Finish(s core.Stream, stop <-chan struct{}) {
	if netio.TCP(s) == nil {
		Dismiss(s)
		return
	}
	_ = s.CloseWrite()
	Linger(s, stop)
	_ = s.Close()
}

// Linger reads and discards what the peer of s is still sending after our FIN, so that the
// close that follows is no reset. It ends with the peer's end, after a second of silence,
// after ten seconds or 16 MiB, and when stop is closed. It reads the TCP connection below s,
// and may be called during a read of s, whose bytes are lost; without such a connection
// there is nothing to do.
func Linger(s core.Stream, stop <-chan struct{}) {
	tcp := netio.TCP(s)
	if tcp == nil {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	left, silent := lingerBytes, time.Duration(0)
	pause := time.Duration(0)
	for total := time.Duration(0); left > 0 && silent < lingerSilence && total < lingerMost; total += pause {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		n, over := netio.DiscardReceived(tcp, left)
		if over {
			return
		}
		left -= n
		silent += pause
		pause = min(max(2*pause, lingerFirst), lingerLast)
		if n > 0 {
			silent, pause = 0, lingerFirst
		}
		timer.Reset(pause)
	}
}
