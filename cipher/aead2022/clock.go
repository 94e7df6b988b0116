package aead2022

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// maxSkew is the maximum difference between the clocks of client and server, in seconds.
// See SIP022 §3.1.3.
const maxSkew = 30

// timeGuard is the time for which a message is remembered after the second in which it
// was sent: maxSkew, and two seconds for rounding at both ends.
const timeGuard = (maxSkew + 2) * time.Second

// appendTime appends now to b as seconds since 1970.
func appendTime(b []byte, now time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(now.Unix()))
}

// parseTypeAndTime checks the first nine bytes of a header, which all headers have in
// common, and returns the time. It returns ErrMalformed for a type other than want, and
// ErrClock for a time that differs from now, rounded down to seconds, by more than
// maxSkew.
func parseTypeAndTime(b []byte, want byte, now time.Time) (time.Time, error) {
	if b[0] != want {
		return time.Time{}, fmt.Errorf("%w: type %d, want %d", core.ErrMalformed, b[0], want)
	}
	theirs, ours := binary.BigEndian.Uint64(b[1:]), uint64(now.Unix())
	switch { // unsigned differences, which can't overflow
	case theirs > ours && theirs-ours > maxSkew:
		return time.Time{}, skewed(theirs-ours, "ahead")
	case theirs < ours && ours-theirs > maxSkew:
		return time.Time{}, skewed(ours-theirs, "behind")
	}
	return time.Unix(int64(theirs), 0), nil
}

func skewed(by uint64, way string) error {
	return fmt.Errorf("%w: peer's clock is %d s %s; at most %d s are allowed", core.ErrClock, by, way, maxSkew)
}
