package aead2022

import (
	"encoding/binary"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// offsets are by how much the clocks of peers differ from this machine's, by the headers of
// streams. A recording of an old stream counts too.
type offsets struct{ *metrics.Histogram }

// newOffsets returns counts of nothing. A header has whole seconds; beyond 30 it is refused.
func newOffsets() *offsets {
	return &offsets{metrics.NewHistogram(metrics.Offsets())}
}

// observe counts the time of a header, which begins as all do: see parseTypeAndTime.
func (o *offsets) observe(header []byte, now time.Time) {
	theirs, ours := binary.BigEndian.Uint64(header[1:]), uint64(now.Unix())
	if theirs < ours {
		theirs, ours = ours, theirs
	}
	o.Observe(float64(theirs - ours))
}

var _ core.Measurer = (*Cipher)(nil)

// Measure implements core.Measurer.
func (c *Cipher) Measure(yield func(core.Figure)) {
	yield(c.offsets.Figure(metrics.ClockOffset, c.name))
}
