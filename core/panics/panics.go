// Package panics turns a panic in the code that serves one connection into the error
// of that connection, so that no other one ends by it.
package panics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Error is a panic as an error.
type Error struct {
	Value any    // of the panic
	Stack []byte // as debug.Stack returns it
}

func (e *Error) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// New returns the Error of a recovered value. It is called by the deferred function
// that recovered: only there the stack shows the panic.
func New(v any) *Error { return &Error{Value: v, Stack: debug.Stack()} }

// Catch sets *err to a panic of the function that defers Catch.
func Catch(err *error) {
	if v := recover(); v != nil {
		*err = New(v)
	}
}

// Call calls f and returns its error, or its panic as an *Error.
func Call(f func() error) (err error) {
	defer Catch(&err)
	return f()
}

// Log logs err with its stack if it is a panic, and reports whether it is.
func Log(log *slog.Logger, what string, err error, attrs ...slog.Attr) bool {
	panicked, ok := errors.AsType[*Error](err)
	if ok {
		attrs = append(attrs, slog.Any("err", err), slog.String("stack", string(panicked.Stack)))
		log.LogAttrs(context.Background(), slog.LevelError, what, attrs...)
	}
	return ok
}
