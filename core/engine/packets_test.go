package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/plugins"
)

// packetOptions are those of an inbound that may serve UDP.
type packetOptions struct {
	Listen option.Listen `toml:"listen" required:"true" help:"address"`
	Mode   option.Mode   `toml:"mode" default:"both" help:"what is served"`
}

// packetInbound is one that never serves.
type packetInbound struct{ mode option.Mode }

var _ core.PacketInbound = packetInbound{}

func (packetInbound) Listen(context.Context) error              { return nil }
func (packetInbound) Serve(context.Context, core.Handler) error { return nil }
func (packetInbound) Shutdown(context.Context) error            { return nil }
func (p packetInbound) ServesPackets() bool                     { return p.mode.Packets() }

// carrierOptions are those of an outbound that may carry UDP.
type carrierOptions struct {
	Not bool `toml:"not" help:"carry no UDP"`
}

// carrier is a Dialer for checks alone.
type carrier struct {
	core.Dialer
	not bool
}

func (c carrier) Over(wire core.Dialer) (core.Dialer, error) { return carrier{wire, c.not}, nil }

func (c carrier) CheckPackets() error {
	if c.not {
		return core.ErrNoPackets
	}
	return c.Dialer.CheckPackets()
}

// A chain that can't carry the UDP that its inbound serves is refused at the first
// stage that can't, and told how to mend it.
func TestChainPackets(t *testing.T) {
	const stages = `
[inbound]
all = { kind = "packets", listen = "127.0.0.1:1" }
udp = { kind = "packets", listen = "127.0.0.1:2", mode = "udp" }
tcp = { kind = "packets", listen = "127.0.0.1:3", mode = "tcp" }
old = { kind = "tiny", listen = "127.0.0.1:4" }
[outbound]
good = { kind = "carrier" }
bad = { kind = "carrier", not = true }
worse = { kind = "carrier", not = true }
`
	for _, tc := range []struct {
		name, chain, want string
	}{
		{"it can", `"inbound.all", "outbound.good"`, ""},
		{"it can't, for both", `"inbound.all", "outbound.bad"`,
			`f:2:25: pipeline.p.chain: outbound.bad carries no UDP, and inbound.all serves UDP; set mode = "tcp" in [inbound.all]`},
		{"it can't, for UDP alone", `"inbound.udp", "outbound.bad"`,
			`f:2:25: pipeline.p.chain: outbound.bad carries no UDP, and inbound.udp serves UDP; set mode = "tcp" in [inbound.udp]`},
		{"it need not", `"inbound.tcp", "outbound.bad"`, ""},
		{"an inbound that knows no UDP", `"inbound.old", "outbound.bad"`, ""},
		{"a later hop", `"inbound.all", "outbound.good", "outbound.bad"`,
			`f:2:42: pipeline.p.chain: outbound.bad carries no UDP, and inbound.all serves UDP; set mode = "tcp" in [inbound.all]`},
		{"two that can't are one mistake", `"inbound.all", "outbound.bad", "outbound.good", "outbound.worse"`,
			`f:2:25: pipeline.p.chain: outbound.bad carries no UDP, and inbound.all serves UDP; set mode = "tcp" in [inbound.all]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			core.Add(&w.reg.Inbound, "packets", func(_ core.Env, o packetOptions) (core.Inbound, error) { return packetInbound{o.Mode}, nil })
			core.Add(&w.reg.Outbound, "carrier", func(_ core.Env, o carrierOptions) (core.Outbound, error) { return carrier{not: o.Not}, nil })
			f := w.parse(t, "[pipeline.p]\nchain = ["+tc.chain+"]\n"+stages)
			err := engine.Check(&w.reg, f, coretest.Log(t))
			if tc.want == "" {
				if err != nil {
					t.Errorf("got %v, want nil", err)
				}
				return
			}
			wants(t, err, tc.want)
		})
	}
}

// The kinds that ship: one inbound for TCP and one for UDP may share an address,
// two for the same may not.
func TestStandardModes(t *testing.T) {
	const head = `[pipeline.a]
chain = ["inbound.a", "outbound.direct"]
[pipeline.b]
chain = ["inbound.b", "outbound.direct"]
[outbound.direct]
[cipher.house]
kind = "aes-256-gcm"
password = "correct horse battery staple"
`
	at := coretest.FreeAddr(t).String()
	table := func(name, kind, mode string) string {
		text := "[inbound." + name + "]\nkind = \"" + kind + "\"\nlisten = \"" + at + "\"\n"
		if kind == "ss" {
			text += "cipher = \"house\"\n"
		}
		if mode != "" {
			text += "mode = \"" + mode + "\"\n"
		}
		return text
	}
	for _, tc := range []struct {
		name, a, b string
		taken      bool
	}{
		{"TCP and UDP", table("a", "socks5", "tcp"), table("b", "ss", "udp"), false},
		{"UDP and TCP", table("a", "ss", "udp"), table("b", "ss", "tcp"), false},
		{"TCP twice", table("a", "socks5", "tcp"), table("b", "ss", "tcp"), true},
		{"UDP twice", table("a", "ss", "udp"), table("b", "ss", "udp"), true},
		{"both and UDP", table("a", "ss", "both"), table("b", "ss", "udp"), true},
		{"TCP and nothing said", table("a", "socks5", "tcp"), table("b", "ss", ""), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var reg core.Registry
			plugins.Standard(&reg)
			f, err := config.Parse("f", []byte(head+tc.a+tc.b), &reg)
			if tc.taken {
				if err == nil {
					t.Error("got nil, want the address taken")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// That they start shows that they share the address in truth.
			e := engine.New(&reg, coretest.Log(t))
			if err := e.Start(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := e.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("shutdown: %v", err)
			}
		})
	}
}
