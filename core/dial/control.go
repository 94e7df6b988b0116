package dial

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// controlSocket returns the ControlContext of a net.Dialer: Control's check, then the
// socket options. It returns nil if neither is set.
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

// guardSocket calls control with the address that a socket is about to connect to. That
// is the address in the system call, not the result of an earlier lookup.
func guardSocket(control Control) func(context.Context, string, string, syscall.RawConn) error {
	return func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: socket address %q", core.ErrDenied, address)
		}
		return control(ctx, core.TCP, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	}
}
