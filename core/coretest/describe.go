package coretest

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
)

// TestDescription checks that a component does what its options say of it: an
// inbound serves UDP if it tells a listener with UDP, an outbound over the bare
// network carries it if its networks have it, and has told its networks and what
// becomes of names. Of other components nothing is compared; config.CheckDescriptions
// compares what any kind tells with its options. carried are the networks of the
// components that it stands on: its cipher, its transports.
func TestDescription(t testing.TB, d core.Description, carried core.Networks, component any) {
	t.Helper()
	switch c := component.(type) {
	case core.Inbound:
		told := false
		for _, l := range d.Listeners {
			told = told || l.Networks&carried&core.OverUDP != 0
		}
		packets, ok := c.(core.PacketInbound)
		if serves := ok && packets.ServesPackets(); serves != told {
			t.Errorf("UDP: the inbound serves it: %t, its description tells it: %t", serves, told)
		}
	case core.Outbound:
		if d.Targets.Names == "" {
			t.Errorf("the description does not say what becomes of the names of targets")
		}
		if d.Networks == 0 {
			t.Errorf("the description does not say which networks are carried")
		}
		dialer, err := c.Over(dial.Net{})
		if err != nil {
			t.Errorf("over core.Net: %v", err)
			return
		}
		told := d.Networks&carried&core.OverUDP != 0
		if err := dialer.CheckPackets(); (err == nil) != told {
			t.Errorf("UDP: CheckPackets returns %v, the description tells it: %t", err, told)
		}
	}
}
