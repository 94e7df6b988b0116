package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// talk runs d over s until ctx ends. After an error the stream can't be used.
func talk(ctx context.Context, s core.Stream, d Dialogue) (beyond []byte, err error) {
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(expired)
		_ = s.SetDeadline(time.Unix(1, 0)) // wakes the dialogue; an error means that s has ended
	})
	beyond, err = d(&conversation{ctx: ctx, stream: s})
	if !stop() {
		<-expired
		if err == nil {
			err = context.Cause(ctx)
		}
	}
	return beyond, err
}

// conversation is the stream of a Dialogue. Its errors are those of the server's behaviour.
type conversation struct {
	ctx    context.Context
	stream core.Stream
	heard  bool // the server has sent something
}

// Read reads what the server sends. The server's end is an ErrShort.
func (c *conversation) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	c.heard = c.heard || n > 0
	switch {
	case n > 0 || err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && c.heard:
		return 0, fmt.Errorf("%w: the server closed the connection", core.ErrShort)
	case errors.Is(err, io.EOF):
		return 0, fmt.Errorf("%w: the server closed the connection", core.ErrNothing)
	}
	return 0, c.reason(err)
}

// Write writes a message to the server.
func (c *conversation) Write(p []byte) (int, error) {
	n, err := c.stream.Write(p)
	return n, c.reason(err)
}

// reason returns the end of the context in place of an error that it caused.
func (c *conversation) reason(err error) error {
	if err != nil && c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return err
}
