//go:build linux

// Bench compares umbra with Debian's shadowsocks-libev in one run. Each chain is a client and a
// server on loopback:
//
//	load -> SOCKS5 -> local ==ss==> server -> sink
//
// over TCP and, with SOCKS5 associations, over UDP. The chains alternate round by round, and
// the result is the ratio of their medians, because absolute figures mean little on a shared
// machine. CPU time is that of the two proxy processes only, as counted by the kernel. Linux
// only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.umbra, "umbra", "bin/umbra", "the umbra program to measure")
	flag.StringVar(&o.method, "method", "aes-256-gcm", "a method that both chains support")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the result is the median")
	flag.DurationVar(&o.bulk, "bulk", 3*time.Second, "length of each throughput test")
	flag.DurationVar(&o.short, "short", 3*time.Second, "length of each connection test")
	flag.DurationVar(&o.packets, "packets", 3*time.Second, "length of each UDP test")
	flag.IntVar(&o.idle, "idle", 2000, "number of idle connections")
	flag.StringVar(&o.only, "only", "all", "what to test: tcp, udp or all")
	flag.StringVar(&o.chains, "chains", "umbra,watched,libev", "the chains to measure: umbra, umbra with its metrics and its events read each second, and shadowsocks-libev")
	flag.Parse()
	if flag.NArg() > 0 || !slices.Contains([]string{"tcp", "udp", "all"}, o.only) {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := compare(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	umbra, method        string
	only, chains         string
	rounds, idle         int
	bulk, short, packets time.Duration
	admin                bool // of the chain that is watched
}

// wants reports whether the tests of a network, tcp or udp, are to run.
func (o options) wants(network string) bool { return o.only == "all" || o.only == network }

// compare runs all rounds and prints the table.
func compare(ctx context.Context, o options) error {
	chosen, err := choose(o.chains)
	if err != nil {
		return err
	}
	s, err := newSink()
	if err != nil {
		return err
	}
	defer s.close()
	var results results
	for round := range o.rounds {
		for _, c := range chosen {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, o.rounds, c.name)
			if err := measure(ctx, o, c, s, &results); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	results.print(os.Stdout, o)
	return nil
}
