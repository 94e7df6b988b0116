// Package manager lets other programs add and remove ports of Shadowsocks servers while
// umbra runs, by the protocols of ss-manager of shadowsocks-libev and of the manager of the
// Python original: a datagram a request, a datagram an answer.
//
// The ports are components and pipelines like those of a file: a change is a reload of the
// file with the ports beside it, which leaves everything else as it is.
package manager

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/methods"
)

// Service is the running service, as a Manager needs it. It reads and serves files one after
// another.
type Service interface {
	// Serve serves the file with the components and pipelines that beside returns, and then
	// calls adopted, both before it reads or serves anything else. After an error nothing
	// has changed; it is an ErrBusy if all is right but an address is taken.
	Serve(beside func() (string, error), adopted func()) error
	// Moved returns the bytes that each pipeline has moved, both ways together, since the
	// start of the process.
	Moved() map[string]uint64
	// Cut ends what runs through a pipeline.
	Cut(pipeline string)
}

// Ports are the ports of a process. They outlast a Manager, which a reload may replace.
type Ports struct {
	reg     *core.Registry
	service Service
	log     *slog.Logger

	changing sync.Mutex // held while ports are changed; before mu, which is not held then: a reload needs it

	mu      sync.Mutex
	table   config.Manager // guarded by mu, as all that follows
	open    ports
	traffic *traffic
}

// NewPorts returns no ports.
func NewPorts(reg *core.Registry, s Service, log *slog.Logger) *Ports {
	return &Ports{reg: reg, service: s, log: log.With(slog.String("component", "manager")), open: ports{}, traffic: newTraffic()}
}

// Begin has the ports of the table opened, beside those that are open.
func (ps *Ports) Begin(m config.Manager) error {
	ps.changing.Lock()
	defer ps.changing.Unlock()
	ps.Adopt(m)
	next := maps.Clone(ps.open)
	for text, password := range m.Passwords {
		r := request{command: cmdAdd}
		if err := r.setNumber(text); err != nil {
			return err
		}
		if next[r.number] == nil {
			next[r.number] = &port{Password: password.Reveal()}
		}
	}
	if len(next) == len(ps.open) {
		return nil
	}
	return ps.change(next)
}

// Beside returns the components and pipelines of the ports that are open, for a table.
func (ps *Ports) Beside(m config.Manager) (string, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.open.document(ps.reg, m)
}

// Adopt notes the table of a file that is served.
func (ps *Ports) Adopt(m config.Manager) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.table = m
}

var (
	// ErrBusy says that a port can't be opened.
	ErrBusy  = errors.New("port is not available")
	errCrowd = errors.New("there are as many ports as the file allows (ports)")
)

// do carries out requests that came together, and returns an error for each.
func (ps *Ports) do(requests []request) []error {
	ps.changing.Lock()
	defer ps.changing.Unlock()
	errs := make([]error, len(requests))
	next := ps.open
	for i, r := range requests {
		next, errs[i] = ps.plan(next, r)
	}
	if maps.Equal(next, ps.open) {
		return errs
	}
	err := ps.change(next)
	if err == nil {
		return errs
	}
	if len(requests) == 1 {
		return []error{err}
	}
	for i, r := range requests { // one of them is to blame
		if errs[i] != nil {
			continue
		}
		if next, errs[i] = ps.plan(ps.open, r); errs[i] == nil && !maps.Equal(next, ps.open) {
			errs[i] = ps.change(next)
		}
	}
	return errs
}

// plan returns the ports after a request.
func (ps *Ports) plan(open ports, r request) (ports, error) {
	if r.command == cmdRemove {
		if open[r.number] == nil {
			return open, nil
		}
		return open.without(r.number), nil
	}
	if len(r.ignored) > 0 {
		ps.log.Warn("keys of a port say nothing here", slog.Int("port", r.number), slog.String("keys", strings.Join(r.ignored, ", ")))
	}
	ps.mu.Lock()
	table := ps.table
	ps.mu.Unlock()
	old := open[r.number]
	switch {
	case old != nil && (table.Dialect == "python" || old.equal(r.port)):
		return open, nil
	case old == nil && len(open) >= table.Ports:
		return open, errCrowd
	}
	return open.with(r.number, r.port), nil
}

// change serves other ports. ps.changing is held.
func (ps *Ports) change(next ports) error {
	before := ps.open
	err := ps.service.Serve(func() (string, error) {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		return next.document(ps.reg, ps.table)
	}, func() {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		ps.open = next
	})
	if err != nil {
		ps.log.Error("ports not changed", slog.Any("err", err))
		return err
	}
	moved := ps.service.Moved()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var gone, come []int
	for number, p := range before {
		if next[number] != p {
			gone = append(gone, number)
			ps.service.Cut(name(number))
		}
	}
	for _, number := range gone {
		ps.traffic.remove(number, moved[name(number)])
	}
	for number, p := range next {
		if before[number] != p {
			come = append(come, number)
			ps.traffic.add(number, moved[name(number)])
		}
	}
	slices.Sort(gone)
	slices.Sort(come)
	ps.log.Info("ports changed", slog.Any("opened", come), slog.Any("closed", gone), slog.Int("open", len(next)))
	return nil
}

// total returns the function for the total of a port.
func (ps *Ports) total() func(int) uint64 {
	moved := ps.service.Moved()
	return func(number int) uint64 { return moved[name(number)] }
}

// CheckTable finds mistakes of a file's table that only a port shows, by check, which reads
// the file with the components of a port beside it.
func CheckTable(reg *core.Registry, f *config.File, check func(beside string) error) error {
	number := 65535 // and down, until one that the file does not have
	for taken := numbersOf(f); taken[number]; number-- {
	}
	example := ports{number: {Password: examplePassword(reg, f.Manager.Method)}}
	beside, err := example.document(reg, f.Manager)
	if err != nil {
		return fmt.Errorf("[manager]: %w", err)
	}
	if err := check(beside); err != nil {
		return fmt.Errorf("[manager]: with what it says, a port would be\n%s\nand that has mistakes:\n%w", strings.TrimSpace(beside), err)
	}
	return nil
}

// numbersOf returns the numbers of the ports that a file listens on.
func numbersOf(f *config.File) map[int]bool {
	taken := map[int]bool{}
	for _, c := range f.Components {
		for _, l := range c.Description.Listeners {
			taken[int(l.Addr.Port())], taken[int(l.Name.Port())] = true, true
		}
	}
	return taken
}

// examplePassword returns a password of the form that a method wants.
func examplePassword(reg *core.Registry, method string) string {
	kind, err := convert.Method(reg, method)
	if err != nil {
		return "" // the document says why
	}
	info, _ := reg.Cipher.Describe(kind)
	size, _ := methods.SecretSize(info.Options)
	return methods.NewSecret(size)
}
