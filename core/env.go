package core

import (
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
)

// Env is what a constructor gets beside its options: its own name, its log, the
// components that its options refer to, and what belongs to the process rather
// than to one loaded file.
//
// A constructor checks everything it can and has no effect outside: it opens no
// socket and starts no goroutine, because `umbra check` runs it too. Reading
// the files that its options name is part of checking.
type Env struct {
	Section Section
	Name    string
	Log     *slog.Logger
	Graph   Graph // finds other components
	Process *Process
	Stage   *Stage // of the file; nil outside an engine: see Keep
}

// Graph finds the components that options refer to; see Ref.Get. The component asked
// for is built first if need be.
type Graph interface {
	Component(Reference) (any, error)
}

// Process is what outlives a reload: the state that components keep, and what they
// share, such as open sockets. The zero Process is ready.
type Process struct {
	kept   keeper
	shared sync.Map // by its type; see Shared
	ids    atomic.Uint64
}

// NextID returns a number that no other request of the process has.
func (p *Process) NextID() uint64 { return p.ids.Add(1) }

// Shared returns the one T of the process, a zero T at first. It is safe for
// concurrent use if T is.
func Shared[T any](p *Process) *T {
	key := reflect.TypeFor[T]()
	if v, ok := p.shared.Load(key); ok {
		return v.(*T)
	}
	v, _ := p.shared.LoadOrStore(key, new(T))
	return v.(*T)
}

// ServerChecker is a transport that can tell at load time whether its options
// suffice for the server's side.
type ServerChecker interface{ CheckServer() error }

// ClientChecker is the same for the client's side.
type ClientChecker interface{ CheckClient() error }

// ServerTransports returns the transports that the option `transport` of an
// inbound names, checked for the server's side.
func (e Env) ServerTransports(refs []Ref[Transport]) ([]Transport, error) {
	return e.transports(refs, func(t Transport) error {
		if c, ok := t.(ServerChecker); ok {
			return c.CheckServer()
		}
		return nil
	})
}

// ClientTransports returns the transports that the option `transport` of an
// outbound names, checked for the client's side.
func (e Env) ClientTransports(refs []Ref[Transport]) ([]Transport, error) {
	return e.transports(refs, func(t Transport) error {
		if c, ok := t.(ClientChecker); ok {
			return c.CheckClient()
		}
		return nil
	})
}

func (e Env) transports(refs []Ref[Transport], check func(Transport) error) ([]Transport, error) {
	var ts []Transport
	for i, ref := range refs {
		t, err := ref.Get(e)
		if err != nil {
			return nil, err
		}
		if _, ok := t.(Carrier); ok && i > 0 {
			return nil, BadOption("transport", "transport.%s is a program that makes its own connections, so it can't stand over another transport; move it to the front", ref)
		}
		if err := check(t); err != nil {
			return nil, BadOption("transport", "transport.%s: %w", ref, err)
		}
		ts = append(ts, t)
	}
	return ts, nil
}
