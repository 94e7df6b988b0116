//go:build !linux

package netio_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// What this system lacks is an error that names the option and the system.
func TestSocketOptionsUnsupported(t *testing.T) {
	for name, o := range map[string]netio.SocketOptions{
		"transparent": {Transparent: true}, "free bind": {FreeBind: true}, "mark": {Mark: 1}, "interface": {Interface: "lo0"},
	} {
		_, tcp := new(netio.SocketSet).ListenWith(t.Context(), coretest.AnyPort, o)
		_, udp := netio.OpenUDPWith(o)
		for _, err := range []error{tcp, udp} {
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "option "+name+" on "+runtime.GOOS) {
				t.Errorf("%s: got %v, want errors.ErrUnsupported", name, err)
			}
		}
	}
}
