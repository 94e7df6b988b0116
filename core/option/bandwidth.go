package option

import (
	"errors"
	"fmt"
	"strings"
)

// Bandwidth is a number of bytes a second in each direction: "10MiB/s", "100Mbit/s",
// or "1MiB/s up, 10MiB/s down". 0 means no limit.
type Bandwidth struct{ Up, Down Size }

// leastBandwidth is the lowest rate that can be kept with bursts of the usual size.
const leastBandwidth = 1 << 10

var errBandwidth = errors.New(`want a bandwidth such as "10MiB/s", "100Mbit/s", "1MiB/s up, 10MiB/s down" or "unlimited"`)

// Type returns the name of the option type.
func (Bandwidth) Type() string { return "bandwidth" }

// Example returns a bandwidth.
func (Bandwidth) Example() string { return "10MiB/s" }

// UnmarshalText reads one rate for both directions, or one for each.
func (b *Bandwidth) UnmarshalText(text []byte) error {
	s := string(text)
	first, second, two := strings.Cut(s, ",")
	up, isUp := strings.CutSuffix(first, " up")
	down, isDown := strings.CutSuffix(strings.TrimPrefix(second, " "), " down")
	if !two {
		if isUp {
			return fmt.Errorf("%q has no rate for down: %w", s, errBandwidth)
		}
		down = up
	} else if !isUp || !isDown {
		return fmt.Errorf("%q: %w", s, errBandwidth)
	}
	u, err := parseRate(up)
	if err != nil {
		return err
	}
	d, err := parseRate(down)
	if err != nil {
		return err
	}
	*b = Bandwidth{u, d}
	return nil
}

// parseRate parses a number of bytes or bits a second.
func parseRate(s string) (Size, error) {
	if s == unlimited {
		return 0, nil
	}
	amount, ok := strings.CutSuffix(s, "/s")
	if !ok {
		return 0, fmt.Errorf("%q does not end in /s: %w", s, errBandwidth)
	}
	known, per := units, uint64(1)
	if strings.HasSuffix(amount, "bit") {
		known, per = rateUnits, 8
	}
	n, err := parseSize(amount, known, per)
	if err != nil {
		return 0, err
	}
	if n < leastBandwidth {
		return 0, fmt.Errorf("%q is too small: want at least 1KiB/s", s)
	}
	return Size(n), nil
}

// String returns the form that UnmarshalText reads.
func (b Bandwidth) String() string {
	form := func(s Size) string {
		if s == 0 {
			return unlimited
		}
		return s.String() + "/s"
	}
	if b.Up == b.Down {
		return form(b.Up)
	}
	return form(b.Up) + " up, " + form(b.Down) + " down"
}
