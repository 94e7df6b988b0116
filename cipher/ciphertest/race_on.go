//go:build race

package ciphertest

// raceDetector tells that sync.Pool drops what it gets at random.
const raceDetector = true
