//go:build race

package netio_test

// detecting says that the race detector watches; it makes pools forget at random.
const detecting = true
