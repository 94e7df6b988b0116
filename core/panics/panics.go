package panics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// PanicError is a panic in the code that served one connection. It ends that
// connection alone.
type Error struct {
	Value any
	Stack []byte
}

func (e *Error) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// newPanicError returns the PanicError of a recovered value, with the stack of
// the panic.
func New(v any) *Error { return &Error{Value: v, Stack: debug.Stack()} }

// catch turns a panic of the deferring function into *err.
func Catch(err *error) {
	if v := recover(); v != nil {
		*err = New(v)
	}
}

// guard calls f and returns its error, or its panic as a PanicError.
func Call(f func() error) (err error) {
	defer Catch(&err)
	return f()
}

// LogPanic writes a line with the stack if err is a panic, and reports that.
func Log(log *slog.Logger, what string, err error, attrs ...slog.Attr) bool {
	panicked, ok := errors.AsType[*Error](err)
	if ok {
		attrs = append(attrs, slog.Any("err", err), slog.String("stack", string(panicked.Stack)))
		log.LogAttrs(context.Background(), slog.LevelError, what, attrs...)
	}
	return ok
}
