package option

import (
	"net/netip"
	"testing"
)

func TestClients(t *testing.T) {
	for _, tc := range []struct {
		clients      Clients
		client, show string
		text, hidden string
	}{
		{ClientsFull, "192.0.2.77:4711", "192.0.2.77:4711", "read 192.0.2.77:4711: reset", "read 192.0.2.77:4711: reset"},
		{ClientsCut, "192.0.2.77:4711", "192.0.2.0/24", "read 10.0.0.1:8388->192.0.2.77:4711: reset", "read 10.0.0.1:8388->192.0.2.0/24: reset"},
		{ClientsCut, "192.0.2.77:4711", "192.0.2.0/24", "192.0.2.77 is banned", "192.0.2.0/24 is banned"},
		{ClientsCut, "[::ffff:192.0.2.77]:4711", "192.0.2.0/24", "192.0.2.77:4711 [::ffff:192.0.2.77]:4711", "192.0.2.0/24 192.0.2.0/24"},
		{ClientsCut, "[2001:db8:1:2::3]:4", "2001:db8:1::/48", "to [2001:db8:1:2::3]:4", "to 2001:db8:1::/48"},
		{ClientsCut, "[fe80::1%eth0]:4", "fe80::/48", "to [fe80::1%eth0]:4", "to fe80::/48"},
		{ClientsNone, "192.0.2.77:4711", "", "192.0.2.77:4711 has gone", "client has gone"},
	} {
		client := netip.MustParseAddrPort(tc.client)
		if got := tc.clients.Show(client); got != tc.show {
			t.Errorf("%s of %s: got %q, want %q", tc.clients, client, got, tc.show)
		}
		if got := tc.clients.Hide(tc.text, client); got != tc.hidden {
			t.Errorf("%s in %q: got %q, want %q", tc.clients, tc.text, got, tc.hidden)
		}
	}
	var none netip.AddrPort
	if got := ClientsCut.Show(none) + ClientsCut.Hide("text", none); got != "text" {
		t.Errorf("without an address: got %q", got)
	}
}
