package core_test

import (
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func TestIsPrivate(t *testing.T) {
	for text, want := range map[string]bool{
		"10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "::ffff:192.168.1.1": true, "fd00::1": true, // a network's own
		"127.0.0.1": true, "::1": true, // this machine
		"169.254.3.4": true, "fe80::1": true, "fe80::1%eth0": true, // a link's
		"100.64.0.1": true, "100.127.255.255": true, "::ffff:100.64.0.1": true, // gateways of providers
		"100.128.0.1": false, "100.63.255.255": false, "192.0.2.1": false, "172.32.0.1": false, "2001:db8::1": false,
	} {
		if got := core.IsPrivate(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %t, want %t", text, got, want)
		}
	}
}
