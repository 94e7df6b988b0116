//go:build race

package field

// mostMemory is how much of the memory of one generation twenty may take. The race detector
// keeps memory of its own for what the heap has ever had.
const mostMemory = 2.0
