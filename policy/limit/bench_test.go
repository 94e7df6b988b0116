package limit

import (
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// BenchmarkAdmit has one of many addresses come and go.
func BenchmarkAdmit(b *testing.B) {
	o := strict()
	o.NewPerSecondPerClient, o.MaxClients = 1_000_000, 100_000
	p := policy(b, coretest.Env(b), o)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c := core.Client{Addr: netip.AddrPortFrom(ip(i%50_000), 4711), Network: "tcp"}
		if err := p.Admit(c); err != nil {
			b.Fatal(err)
		}
		p.Observe(core.Event{Kind: core.HandshakeFailed, Client: c})
	}
}

func BenchmarkTake(b *testing.B) {
	for name, o := range map[string]Options{
		"quota":     {QuotaPerUser: option.MaxSize},
		"bandwidth": {BandwidthPerUser: option.Bandwidth{Up: 1 << 40, Down: 1 << 40}},
		"all":       {QuotaPerUser: option.MaxSize, BandwidthPerUser: option.Bandwidth{Up: 1 << 30, Down: 1 << 30}, Bandwidth: option.Bandwidth{Up: 1 << 30, Down: 1 << 30}},
	} {
		b.Run(name, func(b *testing.B) {
			us, _ := fresh(o, "n")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				_, m := open(b, us, "alice")
				for pb.Next() {
					if _, err := m.Take(0, 128<<10); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
