package ending

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	drainChunk  = 4 << 10               // bytes of one read
	drainPause  = time.Second / 16      // between reads: 64 KiB/s
	drainTail   = 50 * time.Millisecond // for reading the rest of the receive buffer after a drain
	dismissTail = time.Second           // for reading from the peer of a dismissed connection
	drainReads  = 64                    // most reads after the FIN, 256 KiB
)

// Patience returns how long a server waits for a request, and drains a connection that
// sent an invalid one: 45 to 75 s, derived from the key of c, so that all probes of one
// server measure the same time, and different servers have different times.
func Patience(c core.Cipher) time.Duration {
	var b [2]byte
	c.Derive("deadline", b[:])
	return 45*time.Second + time.Duration(binary.BigEndian.Uint16(b[:]))*30*time.Second/(1<<16)
}

// Drain reads and discards the peer's bytes, as readOn does, and then sends a FIN. The
// caller closes conn.
func Drain(conn core.Stream) {
	readOn(conn)
	endQuietly(conn, drainTail)
}

// DrainReset is Drain with a RST at the end.
func DrainReset(conn core.Stream) {
	readOn(conn)
	Reset(conn)
}

// readOn reads and discards the peer's bytes, at most 64 KiB/s, until the peer ends or
// until conn's read deadline. It sends nothing and treats every input alike, so a prober
// can't distinguish inputs. It does not set the deadline: the caller may shorten the
// deadline concurrently.
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

// Dismiss sends a FIN, after an answer or without one, and reads from a peer that may
// still be sending before it closes the connection: unread bytes would turn the close
// into a reset, which can destroy the answer. It returns within a second.
func Dismiss(conn core.Stream) {
	endQuietly(conn, dismissTail)
	_ = conn.Close()
}

// endQuietly sends a FIN and reads from the peer for the time tail.
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

// Reset closes s so that the peer sees an error rather than an orderly end: a broken
// stream must not look complete. Bytes that were written but not yet delivered are lost.
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
