//go:build (cgo && !netgo) || windows || darwin

package dial

// uncancellable says that a lookup may occupy a thread of the C library, or of the
// system, after its caller has given up. Its slot stays occupied until it has ended.
const uncancellable = true
