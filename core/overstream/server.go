package overstream

import (
	"errors"
	"fmt"
	"io"

	"github.com/umbra-proxy/umbra/core"
)

// Accepted is a client that has asked for datagrams over its stream.
type Accepted struct {
	stream core.Stream
	one    core.Addr
	rest   []byte
}

// Accept reads the header of a request for a target of a Version other than 0. payload is
// what was read of the stream already. It honours the read deadline of the stream.
func Accept(stream core.Stream, target core.Addr, payload []byte) (Accepted, error) {
	a := Accepted{stream: stream, rest: append([]byte(nil), payload...)}
	if Version(target) == 1 {
		return a, nil
	}
	for {
		to, n, err := parseRequest(a.rest)
		switch {
		case err == nil:
			a.one, a.rest = to, a.rest[n:]
			return a, nil
		case !errors.Is(err, core.ErrShort):
			return a, err
		}
		var b [maxHeader]byte
		n, err = stream.Read(b[:])
		if a.rest = append(a.rest, b[:n]...); err != nil && n == 0 {
			if errors.Is(err, io.EOF) {
				err = core.ErrShort
			}
			return a, fmt.Errorf("UDP over a stream: %w", err)
		}
	}
}

// Conn returns the PacketConn of the client's datagrams.
func (a Accepted) Conn(o Options) core.PacketConn {
	c := newConn(o, nil)
	c.stream, c.one, c.rest = a.stream, a.one, a.rest
	return c
}
