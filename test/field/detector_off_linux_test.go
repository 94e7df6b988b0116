//go:build !race

package field

// mostMemory is how much of the memory of one generation twenty may take.
const mostMemory = 1.3
