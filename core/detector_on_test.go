//go:build race

package core_test

// detecting says that the race detector watches; it makes pools forget at random.
const detecting = true
