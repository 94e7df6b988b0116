//go:build !race

package ciphertest

const raceDetector = false
