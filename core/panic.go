package core

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic in the code that served one connection. It ends that
// connection alone.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// newPanicError returns the PanicError of a recovered value, with the stack of
// the panic.
func newPanicError(v any) *PanicError { return &PanicError{Value: v, Stack: debug.Stack()} }

// catch turns a panic of the deferring function into *err.
func catch(err *error) {
	if v := recover(); v != nil {
		*err = newPanicError(v)
	}
}
