package dial

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// controlSocket returns what is to be done with a socket before it connects, or nil.
func (n Net) controlSocket() func(context.Context, string, string, syscall.RawConn) error {
	if n.Socket == (netio.SocketOptions{}) {
		if n.Control == nil {
			return nil
		}
		return guardSocket(n.Control)
	}
	return func(ctx context.Context, network, address string, c syscall.RawConn) error {
		if n.Control != nil {
			if err := guardSocket(n.Control)(ctx, network, address, c); err != nil {
				return err
			}
		}
		return n.Socket.Control(network, address, c)
	}
}

// guardSocket asks control about the address that a socket is about to connect
// to: the one the kernel gets, not the one that a name stood for earlier.
func guardSocket(control Control) func(context.Context, string, string, syscall.RawConn) error {
	return func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: socket address %q", core.ErrDenied, address)
		}
		return control(ctx, core.TCP, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	}
}
