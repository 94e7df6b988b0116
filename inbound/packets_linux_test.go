//go:build linux && !portable

package inbound

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// Answers leave from the address of ours that the client used last.
func TestPacketServerLocal(t *testing.T) {
	site, h := newSite(t, "0.0.0.0"), newHost()
	g := site.start(t, newFakeServer(true), h)
	for _, local := range []string{"127.0.0.5", "127.0.0.1", "127.0.0.6"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(local), g.at().Port())
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to)) // hears nothing of another source
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(wire(1, web, "x")); err != nil {
			t.Fatal(err)
		}
		coretest.Await(t, "a datagram", h.came)
		_, conns := h.served()
		if n, err := conns[0].WritePackets([]core.Packet{{Addr: web, Data: []byte("answer")}}); n != 1 || err != nil {
			t.Errorf("write: got %d, %v, want 1, nil", n, err)
		}
		hears(t, c, wire(1, web, "answer"))
	}
}
