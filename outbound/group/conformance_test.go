package group_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound/direct"
	"github.com/umbra-proxy/umbra/outbound/group"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// bare is an outbound that dials over its wire.
type bare struct{}

func (bare) Over(wire core.Dialer) (core.Dialer, error) { return wire, nil }

// broken is an outbound that never opens anything.
type broken struct{}

func (broken) Over(core.Dialer) (core.Dialer, error) { return broken{}, nil }
func (broken) DialStream(ctx context.Context, _ *core.Request) (core.Stream, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, errRefused
}
func (broken) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return nil, errRefused
}
func (broken) CheckPackets() error                     { return nil }
func (broken) PayloadWait(*core.Request) time.Duration { return 0 }

func groupOf(t testing.TB, members ...core.Outbound) core.Outbound {
	t.Helper()
	env := coretest.Env(t)
	o := options()
	graph := coretest.Graph{}
	for i, m := range members {
		name := core.Ref[core.Outbound](string(rune('a' + i)))
		graph[name] = m
		o.Members = append(o.Members, name)
	}
	env.Graph = graph
	g, err := group.New(env, o, first{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestConformance runs the kit for a group of one, and for one whose first member is down.
func TestConformance(t *testing.T) {
	t.Run("one", func(t *testing.T) {
		coretest.TestOutbound(t, func(t testing.TB) core.Outbound { return groupOf(t, bare{}) })
	})
	t.Run("first down", func(t *testing.T) {
		coretest.TestOutbound(t, func(t testing.TB) core.Outbound { return groupOf(t, broken{}, bare{}) })
	})
	t.Run("nested", func(t *testing.T) {
		coretest.TestOutbound(t, func(t testing.TB) core.Outbound { return groupOf(t, groupOf(t, broken{}, bare{})) })
	})
	t.Run("direct", func(t *testing.T) {
		coretest.TestOutbound(t, func(t testing.TB) core.Outbound {
			var loopback option.Prefix
			if err := loopback.UnmarshalText([]byte("127.0.0.0/8")); err != nil {
				t.Fatal(err)
			}
			d, err := direct.New(coretest.Env(t), direct.Options{Allow: []option.Prefix{loopback}})
			if err != nil {
				t.Fatal(err)
			}
			return groupOf(t, d)
		})
	})
}

// instant opens streams without work.
type instant struct{ core.Stream }

func (i instant) Over(core.Dialer) (core.Dialer, error) { return i, nil }
func (i instant) DialStream(context.Context, *core.Request) (core.Stream, error) {
	return i.Stream, nil
}
func (i instant) OpenPackets(context.Context, *core.Request) (core.PacketConn, error) {
	return quiet{}, nil
}
func (instant) CheckPackets() error                     { return nil }
func (instant) PayloadWait(*core.Request) time.Duration { return 0 }

type quiet struct{}

func (quiet) WritePackets(ps []core.Packet) (int, error) { return len(ps), nil }
func (quiet) Receive(core.PacketSink)                    {}
func (quiet) Close() error                               { return nil }

// BenchmarkDial compares a dial through a group of three with one without a group.
func BenchmarkDial(b *testing.B) {
	over := func(o core.Outbound) core.Dialer {
		d, err := o.Over(dial.Net{})
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
	for _, bc := range []struct {
		name string
		d    core.Dialer
	}{
		{"without", over(instant{})},
		{"group", over(groupOf(b, instant{}, instant{}, instant{}))},
		{"one out", over(groupOf(b, broken{}, instant{}, instant{}))},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			for b.Loop() {
				r := core.Request{Network: core.TCP, Flow: new(core.Flow)}
				if _, err := bc.d.DialStream(ctx, &r); err != nil {
					b.Fatal(err)
				}
				r.Flow.End()
			}
		})
	}
}

// BenchmarkPackets compares a burst through a group with one without a group.
func BenchmarkPackets(b *testing.B) {
	for _, bc := range []struct {
		name string
		out  core.Outbound
	}{{"without", instant{}}, {"group", groupOf(b, instant{}, instant{})}} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			d, err := bc.out.Over(dial.Net{})
			if err != nil {
				b.Fatal(err)
			}
			c, err := d.OpenPackets(b.Context(), association())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			ps := datagrams(16)
			for b.Loop() {
				_, _ = c.WritePackets(ps)
			}
		})
	}
}
