package option

import (
	"fmt"
	"math"
	"time"
)

// Off is the Timeout that never passes.
const Off = Timeout(math.MaxInt64)

// Timeout is a length of time as a Duration, or "off" for none.
type Timeout time.Duration

// UnmarshalText reads a duration or "off".
func (t *Timeout) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*t = Off
		return nil
	}
	var d Duration
	switch err := d.UnmarshalText(text); {
	case err != nil && len(text) > 0 && text[0] == '-':
		return err
	case err != nil:
		return fmt.Errorf("%w, or %q", err, "off")
	}
	*t = Timeout(d)
	return nil
}

// String returns the timeout as text that UnmarshalText reads.
func (t Timeout) String() string {
	if t == Off {
		return "off"
	}
	return Duration(t).String()
}

// Type returns what such an option is called.
func (Timeout) Type() string { return "duration or \"off\"" }

// Example returns one.
func (Timeout) Example() string { return "5m" }

// Std returns the timeout as the standard library's type: the longest time for Off.
func (t Timeout) Std() time.Duration { return time.Duration(t) }
