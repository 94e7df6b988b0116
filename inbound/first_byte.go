package inbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/panics"
)

// ByFirstByte returns a Handshaker that serves several protocols on one address. It
// reads the first byte of a connection and passes the connection, with this byte put
// back, to the Handshaker that protocols has for the byte, or else to fallback.
//
// Fail of the same Handshaker ends a connection whose handshake failed. Fail of fallback
// ends a connection that was refused, or has ended, before its first byte. Shutdown
// shuts down fallback and all of protocols; a Handshaker that is listed for several
// bytes must accept repeated calls of Shutdown.
//
// Only protocols in which the client speaks first can be combined.
func ByFirstByte(fallback Handshaker, protocols map[byte]Handshaker) Handshaker {
	return &byFirstByte{fallback: fallback, protocols: protocols}
}

type byFirstByte struct {
	fallback  Handshaker
	protocols map[byte]Handshaker // not changed
}

func (b *byFirstByte) Handshake(ctx context.Context, conn core.Stream, c core.Client, next Requests) error {
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return fmt.Errorf("first byte: %w", err)
	}
	chosen, ok := b.protocols[first[0]]
	if !ok {
		chosen = b.fallback
	}
	conn = netio.Unread(conn, first)
	// A panic must reach the Fail of its own protocol too.
	err := panics.Call(func() error { return chosen.Handshake(ctx, conn, c, next) })
	if err != nil {
		return &protocolError{err, chosen, conn}
	}
	return nil
}

// Fail calls Fail of the Handshaker that was chosen, with the connection that was passed
// to its Handshake.
func (b *byFirstByte) Fail(conn core.Stream, deadline time.Time, err error) {
	if e, ok := errors.AsType[*protocolError](err); ok {
		e.chosen.Fail(e.conn, deadline, err)
		return
	}
	b.fallback.Fail(conn, deadline, err)
}

// Shutdown shuts down all Handshakers concurrently.
func (b *byFirstByte) Shutdown(ctx context.Context) {
	all := []Handshaker{b.fallback}
	for _, h := range b.protocols {
		all = append(all, h)
	}
	shutDown(ctx, all...)
}

// protocolError is the error of a Handshaker that was chosen by the first byte.
type protocolError struct {
	error
	chosen Handshaker
	conn   core.Stream // the stream that was passed to chosen
}

func (e *protocolError) Unwrap() error { return e.error }
