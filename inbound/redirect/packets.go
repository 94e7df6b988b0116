package redirect

import (
	"context"
	"errors"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/inbound"
)

// datagrams is the inbound for UDP.
type datagrams struct {
	*inbound.PacketServer
	opener *opener
	held   bool // its sockets for answers
}

func newDatagrams(env core.Env, o inbound.Options, own own, sockets int) (*datagrams, error) {
	d := &datagrams{opener: &opener{own: own}}
	var err error
	if d.PacketServer, err = inbound.NewPacketServer(env, o, d.opener); err != nil {
		return nil, err
	}
	core.Keep(env, func(old *session) *session { // or a client's session would be another one after a reload
		if old == nil {
			old = &session{answers: newAnswers()}
		}
		old.answers.hold(sockets, env.Log)
		d.opener.session, d.held = old, true
		return old
	})
	return d, nil
}

// Shutdown closes the sockets for answers too, once no generation has them.
func (d *datagrams) Shutdown(ctx context.Context) error {
	err := d.PacketServer.Shutdown(ctx)
	if d.held {
		d.held = false
		d.opener.session.answers.release()
	}
	return err
}

// opener is the PacketServer: datagrams are not protected, and a session is all that comes
// from one address.
type opener struct {
	own     own
	session *session
}

var _ inbound.OriginalOpener = (*opener)(nil)

// Open returns an error: the destination says what is meant.
func (*opener) Open([]byte, netip.AddrPort) (core.OpenedPacket, error) {
	return core.OpenedPacket{}, errors.New("no destination")
}

// OpenTo returns the datagram as one to its destination.
func (o *opener) OpenTo(wire []byte, _, to netip.AddrPort) (core.OpenedPacket, error) {
	if o.own.is(core.UDP, to) {
		return core.OpenedPacket{}, errDirect
	}
	return core.OpenedPacket{Session: o.session, Target: core.AddrFrom(to), Payload: wire}, nil
}

// Roams returns false: clients are told apart by their addresses alone.
func (*opener) Roams() bool { return false }

// session stands for the sessions of all clients.
type session struct {
	inbound.PlainSession
	answers *answers
}

var _ inbound.Answerer = (*session)(nil)

// AppendPacket appends the payload.
func (*session) AppendPacket(dst, payload []byte, _ core.Addr) ([]byte, error) {
	return append(dst, payload...), nil
}

// Answer sends answers to a client, each from the address that it is from.
func (s *session) Answer(flow *core.Flow, client netip.AddrPort, ps []core.Packet) (sent int, err error) {
	for len(ps) > 0 {
		n := 1
		for n < len(ps) && ps[n].Addr == ps[0].Addr {
			n++
		}
		socket, err := s.answers.socket(ps[0].Addr)
		if err != nil {
			flow.DropAnswers(core.DropFull, n)
		} else {
			more, _ := socket.SendSealed(flow, client, netip.Addr{}, s, ps[:n]) // a socket that fails is not that of others
			sent += more
		}
		ps = ps[n:]
	}
	return sent, nil
}
