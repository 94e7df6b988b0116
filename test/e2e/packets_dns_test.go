package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestPacketsDNS queries a DNS server with dig over every path.
func TestPacketsDNS(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 12)
	dns := peer.DNSServer(t, fmt.Sprintf("edns-packet-max=4096\nhost-record=one.test,192.0.2.7,2001:db8::7\ntxt-record=long.test,%[1]q,%[1]q,%[1]q,%[1]q,%[1]q\n", long))
	longAnswer := strings.TrimSpace(strings.Repeat(strconv.Quote(long)+" ", 5))
	umbra := func(t testing.TB) int { return umbraServer(t, method) }
	libev := func(t testing.TB) int { return peer.SSServer(t, method) }
	for _, tc := range []struct {
		name string
		open func(t testing.TB) int // returns the port for queries
	}{
		{"ss-tunnel", func(t testing.TB) int { return peer.SSTunnel(t, method, umbra(t), peer.Addr(dns)) }},
		{"one hop", func(t testing.TB) int { return forward(t, umbraLocal(t, method, umbra(t)), dns) }},
		{"three hops", func(t testing.TB) int { return forward(t, umbraLocal(t, method, umbra(t), umbra(t), umbra(t)), dns) }},
		{"ss-server first", func(t testing.TB) int { return forward(t, umbraLocal(t, method, libev(t), umbra(t), umbra(t)), dns) }},
		{"ss-server between", func(t testing.TB) int { return forward(t, umbraLocal(t, method, umbra(t), libev(t), umbra(t)), dns) }},
		{"ss-server last", func(t testing.TB) int { return forward(t, umbraLocal(t, method, umbra(t), umbra(t), libev(t)), dns) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			port := tc.open(t)
			for _, question := range []struct{ name, kind, want string }{
				{"one.test", "A", "192.0.2.7"},
				{"one.test", "AAAA", "2001:db8::7"},
				{"long.test", "TXT", longAnswer},
				{"two.test", "A", ""},
			} {
				if got := dig(t, port, question.name, question.kind); got != question.want {
					t.Errorf("%s %s: got %q, want %q", question.name, question.kind, got, question.want)
				}
			}
		})
	}
}

// dig sends one query and returns the short answer, or "" if the name does not exist. The test fails
// without an answer.
func dig(t testing.TB, port int, name, kind string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), peer.Need(t, "dig"), "@127.0.0.1", "-p", strconv.Itoa(port),
		"+short", "+tries=1", "+time="+strconv.Itoa(int(patience.Seconds())), "+ignore", "+bufsize=4096", name, kind).CombinedOutput()
	if err != nil {
		t.Fatalf("dig %s %s: %v\n%s", name, kind, err, out)
	}
	return strings.TrimSpace(string(out))
}

// forward opens an association at a proxy and returns a UDP port in front of a target: datagrams to it
// are forwarded to the target, and answers are returned to the last sender.
func forward(t testing.TB, proxy, target int) int {
	t.Helper()
	a, socket := associate(t, proxy), listenPackets(t, "127.0.0.1")
	_ = socket.SetReadDeadline(time.Time{})
	_ = a.SetReadDeadline(time.Time{})
	var last atomic.Pointer[netip.AddrPort]
	var both sync.WaitGroup
	both.Go(func() {
		b := make([]byte, core.MaxDatagram)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			last.Store(&from)
			_, _ = a.WriteTo(b[:n], targetAddr(peer.Addr(target))) // dig reports a missing answer
		}
	})
	both.Go(func() {
		b := make([]byte, core.MaxDatagram)
		for {
			n, _, err := a.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = socket.WriteToUDPAddrPort(b[:n], *last.Load())
		}
	})
	t.Cleanup(func() {
		a.Close()
		socket.Close()
		both.Wait()
	})
	return socket.LocalAddr().(*net.UDPAddr).Port
}
