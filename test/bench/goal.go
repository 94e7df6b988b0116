//go:build linux

package main

import (
	"fmt"
	"math"
)

// goal returns the target of a figure and whether it is met, from umbra's value and its ratio
// to the peer's. Each is NaN if missing.
type goal func(ours, ratio float64) string

// none is the goal of figures without a target.
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

// zero is the goal of figures that should be 0, whatever the peer's value.
func zero(ours, _ float64) string { return verdict("0", ours, 0, 0) }

// verdict adds to a goal whether a value is from low to high; it adds nothing for NaN.
func verdict(goal string, value, low, high float64) string {
	switch {
	case math.IsNaN(value):
		return goal
	case low <= value && value <= high:
		return goal + " met"
	}
	return goal + " MISSED"
}
