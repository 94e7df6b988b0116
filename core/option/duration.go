// Package option has the types of options that need more than a string or a
// number: each reads itself from text, so that a mistake is found, with its
// place, when the file is read.
package option

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a length of time such as "90s", "5m" or "1h30m". It is not
// negative.
type Duration time.Duration

// UnmarshalText reads the form of time.ParseDuration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration; write it as %q or %q", text, "30s", "5m")
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", text)
	}
	*d = Duration(v)
	return nil
}

// String returns the duration as text that UnmarshalText reads, without the zeros
// that time.Duration writes: "5m" for "5m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}

// Type returns what a duration is called.
func (Duration) Type() string { return "duration" }

// Example returns a duration.
func (Duration) Example() string { return "30s" }

// Std returns the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }
