//go:build !linux

package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
)

// OriginalDestination returns where the client of an accepted connection wanted to
// go. It knows the rules of Linux alone; here it returns an errors.ErrUnsupported.
func OriginalDestination(*net.TCPConn) (netip.AddrPort, error) {
	return netip.AddrPort{}, fmt.Errorf("original destination on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
