//go:build !linux

package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
)

// OriginalDestination returns an errors.ErrUnsupported: only Linux reports the address
// that the client of an accepted connection dialled.
func OriginalDestination(*net.TCPConn) (netip.AddrPort, error) {
	return netip.AddrPort{}, fmt.Errorf("original destination on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
