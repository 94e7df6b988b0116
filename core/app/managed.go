package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/manager"
)

// managed are the ports that other programs add and remove.
type managed struct {
	ports  *manager.Ports // nil until a file has a manager
	server *manager.Server
	at     string // what server listens on
	style  string // its dialect
	work   chan func()
	ended  chan struct{}
}

// besides is the name of what the manager adds to a file, for positions.
const besides = "ports of the manager"

// extras returns the components of the ports as what stands beside a file.
func extras(beside string) []config.Extra {
	return []config.Extra{{Name: besides, Data: []byte(beside)}}
}

// load reads the file, with the ports that are open beside it, as its table has them.
func (s *service) load() (*config.File, error) {
	f, err := s.read()
	if err != nil || !f.Manager.IsSet() || s.managed.ports == nil {
		return f, err
	}
	beside, err := s.managed.ports.Beside(f.Manager)
	if err != nil || beside == "" {
		return f, err
	}
	return s.read(extras(beside)...)
}

// adoptManager opens the manager that a file wants, with the ports that are there from the
// start.
func (s *service) adoptManager(f *config.File) error {
	m, want := &s.managed, f.Manager
	if m.server != nil && (m.at != want.Listen || m.style != want.Dialect) {
		m.close()
	}
	if !want.IsSet() {
		return nil
	}
	if m.ports == nil {
		m.ports, m.work = manager.NewPorts(s.reg, portsService{s}, s.log), make(chan func())
	}
	m.ports.Adopt(want)
	if m.server != nil {
		return nil
	}
	m.ended = make(chan struct{})
	began := make(chan error, 1)
	go func() { began <- m.ports.Begin(want) }()
	for {
		select {
		case work := <-m.work:
			work()
			continue
		case err := <-began:
			if err != nil {
				return fmt.Errorf("open the ports of port_password: %w", err)
			}
		}
		break
	}
	conn, err := listenManager(want)
	if err != nil {
		return fmt.Errorf("listen on %s for the manager: %w", want.Listen, cause(err))
	}
	m.at, m.style = want.Listen, want.Dialect
	m.server = manager.NewServer(conn, want.Dialect, m.ports)
	s.log.Info("manager listens", "address", want.Listen, "dialect", want.Dialect)
	return nil
}

// listenManager opens the socket of a manager.
func listenManager(m config.Manager) (net.PacketConn, error) {
	if at, ok := m.Address(); ok {
		return net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	}
	if err := takeAway("unixgram", m.Listen); err != nil {
		return nil, err
	}
	conn, err := privately(func() (*net.UnixConn, error) {
		return net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.Listen, Net: "unixgram"})
	}, m.Listen)
	if err != nil {
		return nil, err
	}
	return removing{conn, m.Listen}, nil
}

// removing is a Unix socket that removes its file.
type removing struct {
	*net.UnixConn
	path string
}

func (r removing) Close() error { return errors.Join(r.UnixConn.Close(), os.Remove(r.path)) }

// close ends the manager's socket. The ports stay open.
func (m *managed) close() {
	if m.server == nil {
		return
	}
	close(m.ended) // a change that waits for the service is none
	m.server.Close()
	m.server = nil
}

// portsService is the service as the manager sees it. Its methods are called by goroutines
// of the manager.
type portsService struct{ *service }

var errEnding = errors.New("the service ends")

// on runs work on the goroutine of the service.
func (s portsService) on(work func() error) error {
	done := make(chan error, 1)
	select {
	case s.managed.work <- func() { done <- work() }:
		return <-done
	case <-s.managed.ended:
		return errEnding
	}
}

// Serve implements manager.Service.
func (s portsService) Serve(beside func() (string, error), adopted func()) error {
	return s.on(func() error {
		text, err := beside()
		if err != nil {
			return err
		}
		f, err := s.read(extras(text)...)
		if err != nil {
			return err
		}
		if err := s.engine.Reload(context.Background(), f); err != nil {
			return fmt.Errorf("%w: %w", manager.ErrBusy, err)
		}
		adopted()
		s.source.Serves(f, "manager")
		return nil
	})
}

// Moved implements manager.Service.
func (s portsService) Moved() map[string]uint64 {
	moved := map[string]uint64{}
	for name, t := range s.engine.Totals(false) {
		moved[name] = uint64(t.Streams.Up + t.Streams.Down + t.Associations.Up + t.Associations.Down)
	}
	return moved
}

// Cut implements manager.Service.
func (s portsService) Cut(pipeline string) { s.engine.CutPipeline(pipeline, errRemoved) }

var errRemoved = errors.New("the manager has removed the port")
