// Package sip003 is the transport kind "sip003": a plugin of Shadowsocks, which is a program
// of its own that carries connections between its client's and its server's side. The
// contract is SIP003, https://shadowsocks.org/doc/sip003.html; with UDP it is SIP003u.
package sip003

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of a [transport.x] table of kind "sip003".
type Options struct {
	_ core.About `help:"has a SIP003 plugin, which is a program of its own, carry the wire"`

	Plugin    string      `toml:"plugin" required:"true" help:"the program: a path, or a name that is looked for in PATH"`
	Options   option.Text `toml:"options" help:"the plugin's options, as SS_PLUGIN_OPTIONS has them: name;key=value;…"`
	Arguments []string    `toml:"arguments" help:"arguments of the plugin's command line; most plugins take none"`
	Mode      option.Mode `toml:"mode" default:"tcp" help:"what the plugin carries: \"tcp\", or with plugins of SIP003u \"udp\" or \"both\""`
}

// Transport is one configured component. It serves both roles.
type Transport struct {
	command  command
	mode     option.Mode
	log      *slog.Logger
	children *children

	mu   sync.Mutex
	uses map[use]bool // what Run starts; guarded by mu
}

var (
	_ core.Carrier = (*Transport)(nil)
	_ core.Runner  = (*Transport)(nil)
)

// New returns the component. Its errors name the key to correct.
func New(env core.Env, o Options) (core.Transport, error) {
	if strings.ContainsRune(o.Options.Reveal(), 0) {
		return nil, core.BadOption("options", "a NUL byte can't be in the environment of a program")
	}
	path, err := exec.LookPath(o.Plugin)
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return nil, core.BadOption("plugin", "%q is not found; install the plugin, or write its path", o.Plugin)
	case err != nil:
		return nil, core.BadOption("plugin", "%w", err)
	}
	return &Transport{
		command: command{path: path, arguments: strings.Join(o.Arguments, "\x00"), options: o.Options.Reveal()},
		mode:    o.Mode, log: env.Log, children: core.Shared[children](env.Process), uses: map[use]bool{},
	}, nil
}

// Client returns the wire, which is a connection with the plugin.
func (*Transport) Client(_ context.Context, wire core.Stream, _ core.Addr) (core.Stream, error) {
	return wire, nil
}

// Server returns the wire, which is a connection with the plugin.
func (*Transport) Server(_ context.Context, wire core.Stream) (core.Stream, error) { return wire, nil }

// Carries implements core.Carrier.
func (t *Transport) Carries(n core.Network) bool {
	return n == core.TCP && t.mode.Streams() || n == core.UDP && t.mode.Packets()
}

// Carry implements core.Carrier.
func (t *Transport) Carry(net core.Dialer, server core.Addr) core.Dialer {
	u := use{command: t.command, remote: server}
	t.note(u)
	return &carried{net: net, transport: t, use: u}
}

// Behind implements core.Carrier. The inbound of a public address keeps its address behind
// the plugin over reloads.
func (t *Transport) Behind(public netip.AddrPort) (netip.AddrPort, error) {
	local, err := t.children.behind(public)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find a free port for the plugin to connect to: %w", err)
	}
	t.note(use{command: t.command, remote: core.AddrFrom(public), local: local})
	return local, nil
}

func (t *Transport) note(u use) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.uses[u] = true
}

// Run has the plugins run until ctx ends, one for each server and each address of an
// inbound. A plugin that an older or a newer file has too, with the same options, goes on.
func (t *Transport) Run(ctx context.Context) {
	t.mu.Lock()
	var running []*child
	for u := range t.uses {
		running = append(running, t.children.acquire(u, t.log))
	}
	t.mu.Unlock()
	<-ctx.Done()
	var ending sync.WaitGroup
	for _, c := range running {
		ending.Go(func() { t.children.release(c) })
	}
	ending.Wait()
}
