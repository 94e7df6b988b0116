package option

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Size is a number of bytes, such as "100GiB" or "1.5TB". 0 means no limit.
type Size int64

// unlimited is the text for no limit.
const unlimited = "unlimited"

// unit is the name of a number of bytes.
type unit struct {
	name  string
	bytes uint64
}

// units are the units of sizes, the largest first. String uses the powers of two.
var units = []unit{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// rateUnits are additional units of bandwidths. bytes is the size of 8 units, so that
// it is a whole number.
var rateUnits = []unit{{"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}}

// MaxSize is the largest Size. It is small enough that the sum of several sizes does not overflow.
const MaxSize = 1 << 60

var errSize = errors.New(`want a size such as "100GiB", "1.5TB" or "unlimited"`)

// Type returns the name of the option type.
func (Size) Type() string { return "size" }

// Example returns a size.
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

// parseSize parses a number and one of the known units. per units have the bytes that
// known lists.
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
		case n > MaxSize:
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
	if high > 0 || product > MaxSize*8 {
		return MaxSize * 8, nil
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

// Rounded returns the size to a tenth of its unit, such as "1.5MiB".
func (s Size) Rounded() string {
	const k = 1 << 10
	if s < k {
		return strconv.FormatUint(uint64(s), 10) + "B"
	}
	v, unit := float64(s)/k, 0
	for v >= k && unit < len(prefixes)-1 {
		v, unit = v/k, unit+1
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + prefixes[unit:unit+1] + "iB"
}

const prefixes = "KMGTP" // of Rounded
