package limit

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Size is an amount of bytes such as "100GiB" or "1.5TB". 0 means no bound.
type Size int64

// unlimited is how no bound is written.
const unlimited = "unlimited"

// unit is a word for a number of bytes.
type unit struct {
	name  string
	bytes uint64
}

// units are those of sizes, the largest first. String takes those of powers of two.
var units = []unit{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// rateUnits are those that bandwidths may have too; the bytes are of 8 units, so that
// they are whole.
var rateUnits = []unit{{"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}}

// maxSize leaves room to add a few.
const maxSize = 1 << 60

var errSize = errors.New(`want a size such as "100GiB", "1.5TB" or "unlimited"`)

// Type returns what such an option is called.
func (Size) Type() string { return "size" }

// Example returns one.
func (Size) Example() string { return "100GiB" }

// UnmarshalText reads a number, whole or with a fraction, and a unit.
func (s *Size) UnmarshalText(text []byte) error {
	if string(text) == unlimited {
		*s = 0
		return nil
	}
	n, err := parseSize(string(text), units, 1)
	if err != nil {
		return err
	}
	*s = Size(n)
	return nil
}

// parseSize reads a number and one of some units, of which so many make their bytes.
func parseSize(s string, known []unit, per uint64) (uint64, error) {
	for _, u := range known {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := multiply(strings.TrimSuffix(number, " "), u.bytes)
		switch n /= per; {
		case err != nil:
			return 0, fmt.Errorf("%q: %w", s, err)
		case n == 0:
			return 0, fmt.Errorf("%q is 0 bytes: %w", s, errSize)
		case n > maxSize:
			return 0, fmt.Errorf("%q is too large: want at most 2^60 bytes", s)
		}
		return n, nil
	}
	return 0, fmt.Errorf("%q has no unit: %w", s, errSize)
}

// multiply returns a decimal number times n, rounded down.
func multiply(number string, n uint64) (uint64, error) {
	whole, fraction, dotted := strings.Cut(number, ".")
	w, err := strconv.ParseUint(whole, 10, 63)
	high, product := bits.Mul64(w, n)
	if err != nil || strings.HasPrefix(whole, "+") || dotted && fraction == "" || len(fraction) > 6 {
		return 0, errSize
	}
	if high > 0 || product > maxSize*8 {
		return maxSize * 8, nil
	}
	if !dotted {
		return product, nil
	}
	scale := uint64(1)
	for range fraction {
		scale *= 10
	}
	f, err := strconv.ParseUint(fraction, 10, 63)
	if err != nil || strings.HasPrefix(fraction, "+") {
		return 0, errSize
	}
	high, low := bits.Mul64(f, n)
	part, _ := bits.Div64(high, low, scale) // f is less than scale, so part is less than n
	return product + part, nil
}

// String returns the form that UnmarshalText reads.
func (s Size) String() string {
	for _, u := range units {
		if n := uint64(s); n > 0 && n%u.bytes == 0 && (u.bytes&(u.bytes-1) == 0) {
			return strconv.FormatUint(n/u.bytes, 10) + u.name
		}
	}
	return unlimited
}

// Bandwidth is a number of bytes a second each way: "10MiB/s", "100Mbit/s", or
// "1MiB/s up, 10MiB/s down". 0 means no bound.
type Bandwidth struct{ Up, Down Size }

// leastBandwidth is what can be kept to with bursts as they are.
const leastBandwidth = 1 << 10

var errBandwidth = errors.New(`want a bandwidth such as "10MiB/s", "100Mbit/s", "1MiB/s up, 10MiB/s down" or "unlimited"`)

// Type returns what such an option is called.
func (Bandwidth) Type() string { return "bandwidth" }

// Example returns one.
func (Bandwidth) Example() string { return "10MiB/s" }

// UnmarshalText reads one rate for both ways, or one for each.
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

// parseRate reads a size, or a number of bits, a second.
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
