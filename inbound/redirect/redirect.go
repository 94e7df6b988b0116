// Package redirect is the inbound of transparent proxying on Linux: connections and
// datagrams that a firewall rule sends here reach the targets that their clients meant, and
// the clients know nothing of it.
package redirect

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// Options are the keys of an [inbound.x] table of kind redirect.
type Options struct {
	_                core.About        `help:"takes what firewall rules send here to where its clients meant it to go (Linux)"`
	Listen           option.ListenList `toml:"listen" required:"true" help:"address and port that the rules name, or a list of them"`
	TCP              string            `toml:"tcp" default:"redirect" oneof:"redirect,tproxy,off" help:"how rules send connections here: by REDIRECT, or by TPROXY, which takes CAP_NET_ADMIN"`
	UDP              string            `toml:"udp" default:"off" oneof:"tproxy,off" help:"how rules send datagrams here; TPROXY takes CAP_NET_ADMIN"`
	FreeBind         bool              `toml:"free_bind" default:"false" help:"listen on addresses that this machine does not have yet (IP_FREEBIND)"`
	MaxHandshakes    int               `toml:"max_handshakes" default:"4096" min:"1" help:"how many connections may be on the way to the pipeline at once"`
	ClientHandshakes int               `toml:"client_handshakes" default:"1024" min:"1" help:"how many of them one client address may have; IPv6: one /64"`
	MaxSessions      int               `toml:"max_sessions" default:"4096" min:"1" help:"how many UDP sessions there may be at once"`
	ClientSessions   int               `toml:"client_sessions" default:"512" min:"1" help:"how many of them one client address may have; IPv6: one /64"`
	AnswerSockets    int               `toml:"answer_sockets" default:"1024" min:"1" max:"65536" help:"from how many addresses of targets UDP answers may be sent at once: each takes a socket; the one that was used the longest ago makes room"`
}

// timeout bounds what is between the accept and the request: nothing is read.
const timeout = option.Duration(30 * time.Second)

// New returns the inbound. Its errors name the key to correct.
func New(env core.Env, o Options) (core.Inbound, error) {
	if runtime.GOOS != "linux" {
		return nil, core.BadOption("tcp", "transparent proxying needs Linux, and this is %s", runtime.GOOS)
	}
	if o.TCP == "off" && o.UDP == "off" {
		return nil, core.BadOption("udp", "tcp and udp are both off, so there is nothing to serve")
	}
	if i := slices.IndexFunc(o.Listen, func(l option.Listen) bool { return l.Name() != "" }); i >= 0 {
		return nil, core.BadOption(core.OptionKey("listen", fmt.Sprint(i)), "rules name an address and a port; write an address in place of the name")
	}
	common := inbound.Options{
		Listen: o.Listen, FreeBind: o.FreeBind, HandshakeTimeout: timeout, MaxHandshakes: o.MaxHandshakes, ClientHandshakes: o.ClientHandshakes,
		MaxSessions: o.MaxSessions, ClientSessions: o.ClientSessions,
	}
	own := own{netio.SocketsOf(env.Process), ports(o.Listen)}
	var streams core.Inbound
	var err error
	if o.TCP != "off" {
		common.Mode, common.Socket = option.Mode(core.TCP), netio.SocketOptions{Transparent: o.TCP == "tproxy"}
		h := &handshaker{own: own, loops: netio.LoopsOf(env.Process)}
		h.keep(env)
		if streams, err = inbound.New(env, common, h); err != nil || o.UDP == "off" {
			return streams, err
		}
	}
	common.Mode, common.Socket = option.Mode(core.UDP), netio.SocketOptions{Transparent: true, OriginalDestination: true}
	datagrams, err := newDatagrams(env, common, own, o.AnswerSockets)
	if err != nil || streams == nil {
		return datagrams, err
	}
	return inbound.Both(streams, datagrams), nil
}

// own tells destinations that are the inbound itself: its port, where this process listens.
type own struct {
	sockets *netio.SocketSet
	ports   []uint16
}

func (o own) is(n core.Network, to netip.AddrPort) bool {
	return slices.Contains(o.ports, to.Port()) && o.sockets.Has(n, to)
}

// ports returns the ports of a list.
func ports(list option.ListenList) []uint16 {
	var all []uint16
	for _, l := range list {
		all = append(all, l.Port())
	}
	return all
}

// errDirect says that a client has dialled the inbound itself: its request would come back
// here.
var errDirect = fmt.Errorf("%w: the client has dialled this inbound itself, and no firewall rule has sent it here", core.ErrDenied)

// handshaker is the Handshaker: it asks the kernel for the target.
type handshaker struct {
	own      own
	loops    *netio.Loops
	captures bool // it is counted in loops
}

var _ inbound.Handshaker = (*handshaker)(nil)

// captured is all that is kept: there is nothing to keep but the moment.
type captured struct{}

// keep has loops count the inbound from when it is certain to be served.
func (h *handshaker) keep(env core.Env) {
	core.Keep(env, func(*captured) *captured {
		h.captures = true
		h.loops.Capture(1)
		return &captured{}
	})
}

// Shutdown has loops count the inbound no longer.
func (h *handshaker) Shutdown(context.Context) {
	if h.captures {
		h.captures = false
		h.loops.Capture(-1)
	}
}

// AtOnce says that Handshake does not wait for the client: the target may speak first.
func (*handshaker) AtOnce() {}

// Handshake makes the request. It reads nothing.
func (h *handshaker) Handshake(_ context.Context, conn core.Stream, _ core.Client, next inbound.Requests) error {
	tcp := netio.TCP(conn)
	if tcp == nil {
		return errors.New("the connection has no socket")
	}
	to, err := netio.OriginalDestination(tcp)
	if err != nil {
		return err
	}
	if h.own.is(core.TCP, to) {
		return errDirect
	}
	h.loops.Await(to)
	next.Stream(&core.Request{Target: core.AddrFrom(to)}, inbound.Unanswered{Conn: conn})
	return nil
}

// Fail does nothing: a client that was refused is closed.
func (*handshaker) Fail(core.Stream, time.Time, error) {}
