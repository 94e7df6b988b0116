package aead2022

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// maxSkew is how far the clocks of two ends may be apart, in seconds. See
// SIP022 §3.1.3.
const maxSkew = 30

// timeGuard is for how long after its last good second what was sent then is still
// remembered: two seconds for the rounding at both ends.
const timeGuard = (maxSkew + 2) * time.Second

// appendTime appends now to b as seconds since 1970.
func appendTime(b []byte, now time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(now.Unix()))
}

// parseTypeAndTime checks the beginning that all headers have, of at least nine
// bytes, and returns the time. It returns ErrMalformed for a type that is not
// want, and ErrClock for a time that is more than maxSkew from now, which is
// rounded down to seconds.
func parseTypeAndTime(b []byte, want byte, now time.Time) (time.Time, error) {
	if b[0] != want {
		return time.Time{}, fmt.Errorf("%w: type %d, want %d", core.ErrMalformed, b[0], want)
	}
	theirs, ours := binary.BigEndian.Uint64(b[1:]), uint64(now.Unix())
	switch { // unsigned, so that no difference overflows
	case theirs > ours && theirs-ours > maxSkew:
		return time.Time{}, skewed(theirs-ours, "ahead")
	case theirs < ours && ours-theirs > maxSkew:
		return time.Time{}, skewed(ours-theirs, "behind")
	}
	return time.Unix(int64(theirs), 0), nil
}

func skewed(by uint64, way string) error {
	return fmt.Errorf("%w: peer's clock is %d s %s; the limit is %d s", core.ErrClock, by, way, maxSkew)
}
