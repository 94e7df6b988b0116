package netio

import (
	"net/netip"
	"testing"
)

// The addresses of this machine are known by two ways, which agree.
func TestOwnAddrs(t *testing.T) {
	var o ownAddrs
	for _, text := range []string{"127.0.0.1", "0.0.0.0"} {
		if !o.has(netip.MustParseAddr(text)) {
			t.Errorf("%s: got another machine's", text)
		}
	}
	var s SocketSet
	if !s.Own(netip.MustParseAddr("::ffff:127.0.0.1")) {
		t.Error("mapped loopback: got another machine's")
	}
	for ip := range queryOwnAddrs() {
		if ip.IsLinkLocalUnicast() {
			continue // can't be sent to without its interface
		}
		if !o.has(ip) || !o.routes.back(ip) {
			t.Errorf("%s: got own %t by interfaces, %t by routes", ip, o.has(ip), o.routes.back(ip))
		}
	}
	other := netip.MustParseAddr("192.0.2.1") // documentation
	if o.has(other) || o.routes.back(other) {
		t.Errorf("%s: got own %t by interfaces, %t by routes", other, o.has(other), o.routes.back(other))
	}
}
