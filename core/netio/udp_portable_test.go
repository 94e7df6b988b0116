//go:build !linux || portable

package netio_test

import (
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// What the UDP of other systems lacks is an error that names the option and the system.
func TestUDPUnsupported(t *testing.T) {
	_, original := netio.ListenUDPWith(coretest.AnyPort, netio.SocketOptions{OriginalDestination: true})
	_, both := netio.OpenUDPWith(netio.SocketOptions{Source4: netip.MustParseAddr("127.0.0.1"), Source6: netip.IPv6Loopback()})
	for name, err := range map[string]error{"original destination": original, "source of both families": both} {
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "option "+name) || !strings.Contains(err.Error(), runtime.GOOS) {
			t.Errorf("%s: got %v, want errors.ErrUnsupported", name, err)
		}
	}
}
