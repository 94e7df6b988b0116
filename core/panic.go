package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// guard calls f and returns its error, or its panic as a PanicError.
func guard(f func() error) (err error) {
	defer catch(&err)
	return f()
}

// LogPanic writes a line with the stack if err is a panic, and reports that.
func LogPanic(log *slog.Logger, what string, err error, attrs ...slog.Attr) bool {
	panicked, ok := errors.AsType[*PanicError](err)
	if ok {
		attrs = append(attrs, slog.Any("err", err), slog.String("stack", string(panicked.Stack)))
		log.LogAttrs(context.Background(), slog.LevelError, what, attrs...)
	}
	return ok
}
