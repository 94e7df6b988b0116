package inbound

import (
	"errors"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Front is what stands between a Server and its clients, such as a balancer, and
// says before the first bytes of each who that is.
type Front interface {
	// Trusts reports whether sender, IPv4 unmapped, is the front. The front must
	// say who its client is; whoever else connects is a failed handshake.
	Trusts(sender netip.Addr) bool
	// ReadClient reads what the front says from conn, whose deadline is set, and
	// not a byte more. It returns the zero AddrPort where that names no client:
	// the connection is the front's own, or its client has no address. If the
	// connection ends before its first byte it returns io.EOF.
	ReadClient(conn core.Stream) (netip.AddrPort, error)
	// Timeout returns how long the front may take.
	Timeout() time.Duration
}

// way is how a connection came.
type way uint8

const (
	directly     way = iota // there is no front
	throughFront            // and its client is, or will be, known
	unattributed            // and no client is known: its address is the front's
	pastFront               // although there is one
)

// meet reads who the client is of a connection that came through the front. From
// then on it is its client's: the time of the handshake begins, and it counts as
// one of that source. meet reports false after it has closed a connection of which
// the front does not say that: whatever is wrong is not its client's doing, so
// no gate hears of it.
func (s *Server) meet(v *visit) bool {
	client, err := s.cfg.Front.ReadClient(v.conn)
	if err != nil {
		if !s.handshakes.told(v.hs) {
			s.logHeader(v, err)
		}
		ending.Dismiss(v.conn)
		return false
	}
	client = netio.Unmap(client)
	source := client.Addr()
	if !client.IsValid() || client == v.client.Addr { // named as its own client: a check of the front's
		v.way, source = unattributed, netip.Addr{}
	} else {
		v.client.Addr = client
	}
	s.handshakes.identify(v.hs, source, func() {
		v.deadline = time.Now().Add(s.cfg.Timeout)
		_ = v.conn.SetDeadline(v.deadline)
	})
	return true
}

// logHeader writes the line of a connection that the front said nothing good of.
// One that came and went without a byte is a health check.
func (s *Server) logHeader(v *visit, err error) {
	log, sender := s.cfg.Env.Log, slog.Any("sender", v.client.Addr)
	if errors.Is(err, io.EOF) {
		log.Debug("proxy header", sender, slog.Any("err", err))
		return
	}
	if more, ok := s.headers.allow(10, time.Second); ok {
		log.Warn("proxy header", sender, slog.Any("err", err), slog.Int("suppressed", more))
	}
}

// isSilence reports whether err says no more than that too few bytes came.
func isSilence(err error) bool {
	return errors.Is(err, core.ErrShort) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ECONNRESET)
}
