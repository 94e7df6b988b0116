package plugins_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
)

// BenchmarkPolicies opens a connection through SOCKS5 and moves a byte each way, with
// each policy in the chain and without any.
func BenchmarkPolicies(b *testing.B) {
	for _, c := range []struct{ name, before, after, tables string }{
		{"none", "", "", ""},
		{"ban", `"policy.ban", `, "", "[policy.ban]\nexempt_loopback = false\n"},
		{"limit", `"policy.limit", `, "", "[policy.limit]\nconnections_per_client = 100000\n"},
		{"acl", "", `"policy.acl", `, "[policy.acl]\ndeny_targets = [\"10.0.0.0/8\", \"example.org\"]\n"},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkPolicy(b, c.before, c.after, c.tables) })
	}
}

func benchmarkPolicy(b *testing.B, before, after, tables string) {
	at := coretest.FreeAddr(b)
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	go func() {
		for {
			c, err := target.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // the client sees what is missing
			}()
		}
	}()
	f, err := config.Parse("bench.toml", fmt.Appendf(nil, `
[pipeline.p]
chain = [%s"inbound.socks5", %s"outbound.direct"]
[inbound.socks5]
listen = %q
mode = "tcp"
[outbound.direct]
allow = ["127.0.0.0/8"]
%s`, before, after, at.String(), tables), standard())
	if err != nil {
		b.Fatal(err)
	}
	e := engine.New(standard(), slog.New(slog.DiscardHandler))
	if err := e.Start(b.Context(), f); err != nil {
		b.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = e.Shutdown(ctx)
	}()
	to := target.Addr().(*net.TCPAddr)
	request := append([]byte{5, 1, 0, 5, 1, 0, 1}, to.IP.To4()...)
	request = append(request, byte(to.Port>>8), byte(to.Port), 'x')
	answer := make([]byte, 2+10+1)
	b.ReportAllocs()
	for b.Loop() {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			b.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetLinger(0) // else the ports run out
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, answer); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
