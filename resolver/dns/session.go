package dns

import (
	"context"
	"os"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// session is an association through an outbound.
type session struct {
	conn core.PacketConn
	flow *core.Flow
	to   core.Addr
	came chan []byte // datagrams of the server; dropped when the channel is full
}

func openSession(ctx context.Context, at *endpoint) (*session, error) {
	r, err := at.request(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := at.dialer.OpenPackets(ctx, r)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, flow: r.Flow, to: at.server, came: make(chan []byte, 4)}
	if len(r.IPs) > 0 {
		s.to = core.NewIPAddr(r.IPs[0], at.server.Port())
	}
	conn.Receive(s.sink)
	return s, nil
}

// sink keeps the server's datagrams and drops others. For a server given by name only
// the port is compared, because its address is unknown.
func (s *session) sink(ps []core.Packet) {
	for i := range ps {
		if from := ps[i].Addr; from != s.to && (s.to.Name() == "" || from.Port() != s.to.Port()) {
			continue
		}
		msg := ps[i].Data[:min(len(ps[i].Data), udpBuffer)]
		select {
		case s.came <- append([]byte(nil), msg...):
		default:
		}
	}
}

func (s *session) send(b []byte) error {
	_, err := s.conn.WritePackets([]core.Packet{{Addr: s.to, Data: append([]byte(nil), b...)}})
	return err
}

func (s *session) receive(ctx context.Context, buf []byte, until time.Time) (int, error) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case msg := <-s.came:
		return copy(buf, msg), nil
	case <-timer.C:
		return 0, os.ErrDeadlineExceeded
	case <-s.flow.Done():
		return 0, s.flow.Cause()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *session) close() { s.conn.Close() }
