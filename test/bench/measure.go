//go:build linux

package main

import (
	"context"
	"net"
	"os"
	"time"
)

// settle is the time between opening idle connections and reading the memory size.
const settle = 2 * time.Second

// measure runs all tests of one chain once.
func measure(ctx context.Context, o options, c chain, s *sink, into *results) error {
	dir, err := os.MkdirTemp("", "umbra-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := start(o, c, dir)
	if err != nil {
		return err
	}
	defer p.stop()
	ctx, stop := context.WithCancel(ctx)
	defer watch(ctx, dir)()
	defer stop()
	add := func(test string, value float64) { into.add(c.name, test, value) }
	add(startTime, float64(p.started.Microseconds())/1000)
	local, server, err := p.resident()
	if err != nil {
		return err
	}
	add(startMemory, float64(max(local, server))/1024)
	if o.wants("tcp") {
		if err := measureStreams(ctx, o, p, s, add); err != nil {
			return err
		}
	}
	if o.wants("udp") {
		return measurePackets(ctx, o, p, s, add)
	}
	return nil
}

// measureStreams runs the TCP tests of one chain once.
func measureStreams(ctx context.Context, o options, p *pair, s *sink, add func(string, float64)) error {
	if err := measureIdle(o, p, s, add); err != nil {
		return err
	}
	for _, b := range []struct {
		rate, cost string
		want       byte
		streams    int
	}{
		{down1, "", wantDownload, 1}, {up1, "", wantUpload, 1},
		{down8, downCost, wantDownload, 8}, {up8, upCost, wantUpload, 8},
	} {
		n, took, cpu, err := clock(p, func() (int64, error) {
			return transfer(ctx, p.socks, s, b.want, b.streams, o.bulk)
		})
		if err != nil {
			return err
		}
		add(b.rate, float64(n)/1e6/took.Seconds())
		if b.cost != "" {
			add(b.cost, cpu.Seconds()/(float64(n)/1e9))
		}
	}
	n, took, cpu, err := clock(p, func() (int64, error) { return connections(ctx, p.socks, s, 64, o.short) })
	if err != nil {
		return err
	}
	add(connRate, float64(n)/took.Seconds())
	add(connCost, float64(cpu.Microseconds())/float64(n))
	return nil
}

// clock runs a load and returns its count, its duration, and the CPU time of both sides.
func clock(p *pair, load func() (int64, error)) (n int64, took, cpu time.Duration, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	began := time.Now()
	if n, err = load(); err != nil {
		return 0, 0, 0, err
	}
	took = time.Since(began)
	after, err := p.cpu()
	return n, took, after - before, err
}

// measureIdle holds connections that are idle after one exchange.
func measureIdle(o options, p *pair, s *sink, add func(string, float64)) error {
	localBefore, serverBefore, err := p.resident()
	if err != nil {
		return err
	}
	held := make([]net.Conn, 0, o.idle)
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for range o.idle {
		c, err := open(p.socks, s.addr)
		if err != nil {
			return err
		}
		held = append(held, c)
		if err := exchange(c); err != nil {
			return err
		}
	}
	time.Sleep(settle)
	local, server, err := p.resident()
	if err != nil {
		return err
	}
	add(idleLocal, float64(local-localBefore)/float64(o.idle))
	add(idleServer, float64(server-serverBefore)/float64(o.idle))
	return nil
}
