package manager

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert/converttest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/option"
)

// BenchmarkPorts reads a file with ports beside it, and serves it.
func BenchmarkPorts(b *testing.B) {
	reg := converttest.Registry()
	for _, n := range []int{10, 250, 1000} {
		m := config.Manager{Host: []string{"127.0.0.1"}, Method: "aes-256-gcm", Mode: option.Mode("both"), Chain: []string{"outbound.direct"}, Listen: "x.sock"}
		ps := ports{}
		for i := range n {
			ps[25000+i] = &port{Password: "a long password of some length"}
		}
		const base = "[manager]\nlisten=\"/x.sock\"\nchain=[\"outbound.direct\"]\n[outbound.direct]\n"
		b.Run(fmt.Sprintf("document/%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _ = ps.document(reg, m)
			}
		})
		beside, _ := ps.document(reg, m)
		load := func(b *testing.B) *config.File {
			f, err := config.LoadText("x", []byte(base), reg, config.Extra{Name: "y", Data: []byte(beside)})
			if err != nil {
				b.Fatal(err)
			}
			return f
		}
		b.Run(fmt.Sprintf("load/%d", n), func(b *testing.B) {
			for b.Loop() {
				load(b)
			}
		})
		b.Run(fmt.Sprintf("reload/%d", n), func(b *testing.B) {
			e := engine.New(reg, slog.New(slog.DiscardHandler))
			defer e.Shutdown(context.Background())
			for b.Loop() {
				b.StopTimer()
				f := load(b)
				b.StartTimer()
				if err := e.Reload(context.Background(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
