//go:build linux

package main

import (
	"fmt"
	"math"
)

// goal says what a figure should be and whether it is, from the value of ours and
// its ratio to the peer's. Either is NaN if there is none.
type goal func(ours, ratio float64) string

// none is no goal.
func none(_, _ float64) string { return "" }

// atLeast is a lower bound on the ratio.
func atLeast(bound float64) goal {
	return func(_, ratio float64) string {
		return verdict(fmt.Sprintf("≥ %.1f", bound), ratio, bound, math.Inf(1))
	}
}

// atMost is an upper bound on the ratio.
func atMost(bound float64) goal {
	return func(_, ratio float64) string {
		return verdict(fmt.Sprintf("≤ %.1f", bound), ratio, 0, bound)
	}
}

// zero is for what we should have none of, whatever the peer has.
func zero(ours, _ float64) string { return verdict("0", ours, 0, 0) }

// verdict adds to a goal whether a value is from low to high; nothing if it is NaN.
func verdict(goal string, value, low, high float64) string {
	switch {
	case math.IsNaN(value):
		return goal
	case low <= value && value <= high:
		return goal + " met"
	}
	return goal + " MISSED"
}
