package netio_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// What the kernel does not accept is counted by reason, alone and among others.
func TestLost(t *testing.T) {
	s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	good := core.Packet{Addr: core.AddrFrom(peer.Addr()), Data: []byte("x")}
	for _, tc := range []struct {
		name string
		bad  core.Packet
		want core.DropReason
	}{
		{"too long", core.Packet{Addr: good.Addr, Data: make([]byte, core.MaxDatagram+1)}, core.DropLong},
		{"port 0", core.Packet{Addr: core.AddrFrom(netip.AddrPortFrom(peer.Addr().Addr(), 0)), Data: good.Data}, core.DropUnreachable},
		{"no such family", core.Packet{Addr: core.AddrFrom(netip.MustParseAddrPort("[::1]:9")), Data: good.Data}, core.DropUnreachable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, burst := range [][]core.Packet{{tc.bad}, {tc.bad, good, tc.bad, tc.bad, good}} {
				var f core.Flow
				bad := len(burst) - len(burst)/2
				sent, err := s.SendPackets(&f, burst, func(p *core.Packet) (netip.AddrPort, bool) { return p.Addr.AddrPort(), true })
				if sent != len(burst)-bad || err != nil {
					t.Errorf("got %d, %v, want %d, nil", sent, err, len(burst)-bad)
				}
				if got, want := f.TakeDropped(), []core.Dropped{{Reason: tc.want, Count: bad}}; !slices.Equal(got, want) {
					t.Errorf("dropped: got %v, want %v", got, want)
				}
			}
		})
	}
}
