package netio

import (
	"errors"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
)

// losses counts datagrams that were not sent: a core.Flow those to targets, answers those
// to clients.
type losses interface {
	Drop(reason core.DropReason, n int)
}

// answers counts what is lost on the way to a client.
type answers struct{ flow *core.Flow }

func (a answers) Drop(reason core.DropReason, n int) { a.flow.DropAnswers(reason, n) }

// Send sends datagrams in order, and returns how many the kernel accepted. It does not
// wait: the others are lost. Send returns net.ErrClosed after Close.
func (s *UDPSocket) Send(ds []Datagram) (int, error) { return s.send((*core.Flow)(nil), ds) }

// lossOf returns why the kernel did not accept a datagram.
func lossOf(err error) core.DropReason {
	switch {
	case errors.Is(err, syscall.EMSGSIZE):
		return core.DropLong
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return core.DropFull
	}
	return core.DropUnreachable
}
