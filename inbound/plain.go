package inbound

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
)

// Unanswered is a client that waits for its target, in a protocol without a reply.
type Unanswered struct{ Conn core.Stream }

var _ core.Pending = Unanswered{}

// Accept returns the stream.
func (u Unanswered) Accept() (core.Stream, error) { return u.Conn, nil }

// Reject resets the connection, so that the client does not take it for the empty answer of
// the target.
func (u Unanswered) Reject(error) { ending.Reset(u.Conn) }

// PlainSession is what the core.PacketSession of a protocol without protection is made of. It
// stands for the sessions of all clients.
type PlainSession struct{}

// Overhead returns 0: answers are passed on unchanged.
func (PlainSession) Overhead(core.Addr) int { return 0 }

// User returns "": no client proves a name.
func (PlainSession) User() string { return "" }

// Close does nothing: all clients share the session.
func (PlainSession) Close() {}
