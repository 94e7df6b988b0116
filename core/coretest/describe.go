package coretest

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
)

// TestDescription checks that a component agrees with the description of its options.
// An inbound must serve UDP if and only if the description has a listener with UDP. An
// outbound over the bare network must carry UDP if and only if the description's networks
// contain UDP, and its description must state the networks and the handling of names.
// Other components are not compared; config.CheckDescriptions compares the description of
// any kind with its options. carried are the networks of the components below: the
// cipher and the transports.
func TestDescription(t testing.TB, d core.Description, carried core.Networks, component any) {
	t.Helper()
	switch c := component.(type) {
	case core.Inbound:
		described := false
		for _, l := range d.Listeners {
			described = described || l.Networks&carried&core.OverUDP != 0
		}
		packets, ok := c.(core.PacketInbound)
		described = described || d.InStreams
		if serves := ok && packets.ServesPackets(); serves != described {
			t.Errorf("UDP: the inbound serves it: %t, its description has it: %t", serves, described)
		}
	case core.Outbound:
		if len(d.Branches)+len(d.Judges) > 0 { // its branches say the rest
			if d.Networks != 0 || d.Targets.Names != "" {
				t.Errorf("got networks %v and target names %q, which its branches say", d.Networks.Strings(), d.Targets.Names)
			}
			return
		}
		if d.Targets.Names == "" {
			t.Errorf("the description does not state the handling of target names")
		}
		if d.Networks == 0 {
			t.Errorf("the description does not state the networks")
		}
		dialer, err := c.Over(dial.Net{})
		if err != nil {
			t.Errorf("over core.Net: %v", err)
			return
		}
		described := d.Networks&carried&core.OverUDP != 0
		if err := dialer.CheckPackets(); (err == nil) != described {
			t.Errorf("UDP: CheckPackets returns %v, the description has it: %t", err, described)
		}
	}
}
