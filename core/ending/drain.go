package ending

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	drainChunk  = 4 << 10               // bytes read at a time
	drainPause  = time.Second / 16      // between reads: 64 KiB/s
	drainTail   = 50 * time.Millisecond // for what is still in the receive buffer at the end
	dismissTail = time.Second           // for what the peer of a dismissed connection still sends
	drainReads  = 64                    // reads of that at most, 256 KiB
)

// Patience returns for how long a server waits for a request, and reads on what
// is none: 45 to 75 s, fixed by its key, so that all probes of one server find
// the same and no two servers need to.
func Patience(c core.Cipher) time.Duration {
	var b [2]byte
	c.Derive("deadline", b[:])
	return 45*time.Second + time.Duration(binary.BigEndian.Uint16(b[:]))*30*time.Second/(1<<16)
}

// Drain reads and discards what the peer sends, as readOn does, and then ends our
// side with a FIN. The caller closes conn.
func Drain(conn core.Stream) {
	readOn(conn)
	endQuietly(conn, drainTail)
}

// DrainReset is Drain with a RST at the end.
func DrainReset(conn core.Stream) {
	readOn(conn)
	Reset(conn)
}

// readOn reads and discards what the peer sends, at most 64 KiB/s, until the peer
// ends or until conn's read deadline. It sends nothing and does the same for every
// input, so a prober learns nothing from it. It leaves the deadline alone: the
// caller may bring it forward.
func readOn(conn core.Stream) {
	for taken := 0; ; {
		if err := netio.WaitReadable(conn); err != nil {
			break
		}
		n, err := discard(conn)
		if err != nil {
			break
		}
		if taken += n; taken >= drainChunk {
			taken = 0
			time.Sleep(drainPause)
		}
	}
}

// Dismiss ends a connection that has been answered, or gets no answer, with a
// FIN, although its peer may still be sending: unread bytes would turn the close
// into a reset, which can destroy the answer. It takes a second at most.
func Dismiss(conn core.Stream) {
	endQuietly(conn, dismissTail)
	_ = conn.Close()
}

// endQuietly ends our side and reads for a while what the peer sends.
func endQuietly(conn core.Stream, tail time.Duration) {
	_ = conn.CloseWrite()
	_ = conn.SetReadDeadline(time.Now().Add(tail))
	for range drainReads {
		if _, err := discard(conn); err != nil {
			return
		}
	}
}

// discard reads one chunk into a borrowed buffer.
func discard(conn core.Stream) (int, error) {
	buf := netio.BorrowSmallBuffer()
	defer buf.Return()
	return conn.Read(buf.B[:drainChunk])
}

// Reset closes s so that its peer sees an error rather than an orderly end: a
// stream that broke must not look complete. Bytes that were written but not yet
// delivered are lost.
func Reset(s core.Stream) {
	if tcp := netio.TCP(s); tcp != nil {
		_ = tcp.SetLinger(0) // if that fails, the close is merely orderly
	}
	for c := net.Conn(s); c != nil; c = netio.Under(c) {
		if a, ok := c.(core.Aborter); ok {
			a.Abort()
			break
		}
	}
	_ = s.Close()
}
