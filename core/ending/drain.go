package ending

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

const (
	drainChunk  = 4 << 10     // bytes of one read
	drainRate   = 64 << 10    // mean of bytes read in a second
	drainBurst  = drainRate   // bytes that are read at once after a silence
	dismissTail = time.Second // for reading from the peer of a dismissed connection
	drainReads  = 64          // most reads after the FIN, 256 KiB
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
// caller closes conn at once. There is no pause between the two ends, which would tell
// this program from others: a peer that ended has been read to its end, and at the
// deadline what is in the receive buffer is read without a wait, so that the close is no
// reset.
func Drain(conn core.Stream) {
	err := readOn(conn)
	_ = conn.CloseWrite()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		netio.DiscardReceived(conn, drainReads*drainChunk)
	}
}

// DrainReset is Drain with a RST at the end.
func DrainReset(conn core.Stream) {
	_ = readOn(conn)
	Reset(conn)
}

// readOn reads and discards the peer's bytes, 64 KiB at once and then 64 KiB/s, until the
// peer ends or until conn's read deadline, and returns the error of that. It sends nothing
// and treats every input alike, so a prober can't distinguish inputs. It does not set the
// deadline: the caller may shorten the deadline concurrently.
func readOn(conn core.Stream) error {
	left, since := drainBurst, time.Now()
	for {
		if err := netio.WaitReadable(conn); err != nil {
			return err
		}
		n, err := discard(conn)
		if err != nil {
			return err
		}
		now := time.Now()
		idle := min(now.Sub(since), time.Second)
		left, since = min(left+int(idle*drainRate/time.Second), drainBurst)-n, now
		if left < 0 {
			time.Sleep(time.Duration(-left) * time.Second / drainRate) // a chunk's 62.5 ms at most
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
