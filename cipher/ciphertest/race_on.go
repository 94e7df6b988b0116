//go:build race

package ciphertest

// raceDetector is true if sync.Pool drops some of its elements at random.
const raceDetector = true
