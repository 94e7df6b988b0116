package ban

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// point is the number of points of a failure of weight 1: weights have two decimal
// places.
const point = 100

// windowSlots is the number of slots of a window. A failure counts for at least the
// window, and for at most one slot more.
const windowSlots = 8

// tally counts the failures of one client in a sliding window. The zero tally is
// empty.
type tally struct {
	points  [windowSlots + 1]uint16 // of each slot, the current one at last%len
	last    int64                   // number of the current slot
	reasons [reasons]uint16         // failures since the tally was empty, for the log
}

// add counts a failure. at is the time since an arbitrary but fixed start.
func (t *tally) add(r reason, points int, at, window time.Duration) {
	if t.advance(at, window); t.sum() == 0 {
		t.reasons = [reasons]uint16{}
	}
	slot := &t.points[t.last%int64(len(t.points))]
	*slot = uint16(min(int(*slot)+points, math.MaxUint16))
	if t.reasons[r] < math.MaxUint16 {
		t.reasons[r]++
	}
}

// advance moves the window forward to at.
func (t *tally) advance(at, window time.Duration) {
	now := int64(at / (window / windowSlots))
	if now-t.last > int64(len(t.points)) {
		t.points = [windowSlots + 1]uint16{}
		t.last = now
	}
	for t.last < now {
		t.last++
		t.points[t.last%int64(len(t.points))] = 0
	}
}

// sum returns the points within the window.
func (t *tally) sum() (sum int) {
	for _, n := range t.points {
		sum += int(n)
	}
	return sum
}

// mostly returns the failure that was counted most often.
func (t *tally) mostly() reason {
	most := reason(0)
	for r, n := range t.reasons {
		if n > t.reasons[most] {
			most = reason(r)
		}
	}
	return most
}

// evidence returns the counted failures as text, such as "auth 2, replay 1".
func (t *tally) evidence() string {
	var parts []string
	for r, n := range t.reasons {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", reason(r), n))
		}
	}
	return strings.Join(parts, ", ")
}
