package dial

import (
	"context"
	"fmt"
	"github.com/umbra-proxy/umbra/core"
	"net/netip"
	"syscall"
)

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
