package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	controlWait = 15 * time.Second // for the answer to a good request
	burnHead    = 32               // bytes: the longest salt
	burnTail    = 64               // bytes of garbage after it
	burnWait    = 2 * time.Second  // for the end of a connection that burns a salt
)

// control makes a good request and waits for the target's answer. It returns the
// first flight. before, if not nil, is given the flight before it is sent.
func (k *Key) control(ctx context.Context, addr string, before func(flight []byte)) (flight []byte, err error) {
	var wire *net.TCPConn
	stream, err := k.Cipher.DialStream(k.Target, k.request(), func(hello []byte) (core.Stream, error) {
		flight = bytes.Clone(hello)
		if before != nil {
			before(flight)
		}
		conn, _, err := dial(ctx, addr)
		if err != nil {
			return nil, errors.New(reason(err))
		}
		_ = conn.SetDeadline(deadlineFor(ctx, controlWait))
		if _, err := conn.Write(flight); err != nil {
			conn.Close()
			return nil, err
		}
		wire = conn
		return conn, nil
	})
	if err != nil {
		return nil, fmt.Errorf("a good request was not made: %w", err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { _ = wire.SetDeadline(time.Unix(1, 0)) })()
	if n, err := stream.Read(make([]byte, 1)); n == 0 {
		return nil, k.unanswered(err)
	}
	return flight, nil
}

// unanswered explains what the end of a control connection can mean.
func (k *Key) unanswered(err error) error {
	const other = "the method or the password is another"
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("a good request got no answer in %s: %s, a clock is wrong, or the server can't reach %s", controlWait, other, k.Target)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("a good request was ended without an answer: the server can't or may not reach %s, or %s", k.Target, other)
	case isReset(err):
		return fmt.Errorf("a good request was reset: %s", other)
	}
	return fmt.Errorf("the answer to a good request can't be read, %s: %w", other, err)
}

// What became of a request whose salt had been sent before it.
const (
	burnServed  = "served"
	burnRefused = "refused"
)

// burn sends the salt of a good request with garbage after it, as somebody on the
// path can, and then the request itself.
func (k *Key) burn(ctx context.Context, addr string) string {
	_, err := k.control(ctx, addr, func(flight []byte) {
		garbage := append(bytes.Clone(flight[:min(burnHead, len(flight))]), noise(burnTail)...)
		p := Probe{Family: Damaged, Size: len(garbage), Finish: FIN}
		_, _ = exchange(ctx, addr, p, garbage, burnWait) // only that the server has seen it
	})
	if err == nil {
		return burnServed
	}
	if _, err := k.control(ctx, addr, nil); err != nil {
		return "" // it may not have been the salt
	}
	return burnRefused
}

// deadlineFor returns when something that begins now must have ended.
func deadlineFor(ctx context.Context, d time.Duration) time.Time {
	t := time.Now().Add(d)
	if end, ok := ctx.Deadline(); ok && end.Before(t) {
		return end
	}
	return t
}
