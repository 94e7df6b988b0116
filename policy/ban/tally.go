package ban

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// point is what a failure of weight 1 counts: weights have two decimal places.
const point = 100

// stretches is into how many parts a window is cut. A failure counts for the window
// at the least, and for one part more at the most.
const stretches = 8

// tally is the failures of one address in a sliding window. The zero tally is empty.
type tally struct {
	points  [stretches + 1]uint16 // of each stretch, the current one at last%len
	last    int64                 // number of the current stretch
	reasons [reasons]uint16       // failures since the tally was empty, for the log
}

// add counts a failure at a time since some beginning.
func (t *tally) add(r reason, points int, at, window time.Duration) {
	if t.move(at, window); t.sum() == 0 {
		t.reasons = [reasons]uint16{}
	}
	slot := &t.points[t.last%int64(len(t.points))]
	*slot = uint16(min(int(*slot)+points, math.MaxUint16))
	if t.reasons[r] < math.MaxUint16 {
		t.reasons[r]++
	}
}

// move lets time pass.
func (t *tally) move(at, window time.Duration) {
	now := int64(at / (window / stretches))
	if now-t.last > int64(len(t.points)) {
		t.points = [stretches + 1]uint16{}
		t.last = now
	}
	for t.last < now {
		t.last++
		t.points[t.last%int64(len(t.points))] = 0
	}
}

// sum returns the points that count.
func (t *tally) sum() (sum int) {
	for _, n := range t.points {
		sum += int(n)
	}
	return sum
}

// evidence says what was counted: "auth 2, replay 1".
func (t *tally) evidence() string {
	var parts []string
	for r, n := range t.reasons {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", reason(r), n))
		}
	}
	return strings.Join(parts, ", ")
}
