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
	controlWait = 15 * time.Second // for the answer to a valid request
	prefixSize  = 32               // bytes: the longest salt
	garbageSize = 64               // bytes of garbage after it
	garbageWait = 2 * time.Second  // for the end of the connection with garbage
)

// control sends a valid request and waits for the target's answer. It returns the
// first flight. If before is not nil, control calls it with the flight before
// sending.
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
		return nil, fmt.Errorf("make a valid request: %w", err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { _ = wire.SetDeadline(time.Unix(1, 0)) })()
	if n, err := stream.Read(make([]byte, 1)); n == 0 {
		return nil, k.unanswered(err)
	}
	return flight, nil
}

// unanswered lists the possible causes of a control connection that ended with err.
func (k *Key) unanswered(err error) error {
	const other = "the method or the password is wrong"
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("a valid request got no answer in %s: %s, a clock is wrong, or the server can't reach %s", controlWait, other, k.Target)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the server closed a valid request without an answer: it can't or may not reach %s, or %s", k.Target, other)
	case isReset(err):
		return fmt.Errorf("the server reset a valid request: %s", other)
	}
	return fmt.Errorf("the answer to a valid request can't be decrypted, %s: %w", other, err)
}

// Outcomes of a request whose salt had been sent before.
const (
	saltServed  = "served"
	saltRefused = "refused"
)

// sendSaltFirst sends the salt of a valid request followed by garbage, as an attacker on
// the path can, and then the request itself. It returns saltServed, saltRefused,
// or "" if the cause can't be determined.
func (k *Key) sendSaltFirst(ctx context.Context, addr string) string {
	_, err := k.control(ctx, addr, func(flight []byte) {
		garbage := append(bytes.Clone(flight[:min(prefixSize, len(flight))]), noise(garbageSize)...)
		p := Probe{Family: Damaged, Size: len(garbage), Finish: FIN}
		_, _ = exchange(ctx, addr, p, garbage, garbageWait) // the result does not matter: the server has seen the salt
	})
	if err == nil {
		return saltServed
	}
	if _, err := k.control(ctx, addr, nil); err != nil {
		return "" // the salt may not have been the cause
	}
	return saltRefused
}

// deadlineFor returns the earlier of the time in d from now and the deadline of ctx.
func deadlineFor(ctx context.Context, d time.Duration) time.Time {
	t := time.Now().Add(d)
	if end, ok := ctx.Deadline(); ok && end.Before(t) {
		return end
	}
	return t
}
