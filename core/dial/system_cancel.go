//go:build !((cgo && !netgo) || windows || darwin)

package dial

// uncancellable says that a lookup goes on after its caller has given up. That of
// package net ends with its context.
const uncancellable = false
