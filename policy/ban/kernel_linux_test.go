package ban

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/test/peer"
)

// waitFor waits until ok.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited in vain for: %s\n%s", what, peer.Command(t, "nft", "list", "ruleset"))
		}
	}
}

// reach connects from an address.
func reach(from string, port uint16) (net.Conn, error) {
	ip := netip.MustParseAddr(from)
	to := "127.0.0.1"
	if ip.Is6() {
		to = "::1"
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)), Timeout: 500 * time.Millisecond}
	return d.Dial("tcp", net.JoinHostPort(to, fmt.Sprint(port)))
}

func reaches(from string, port uint16) bool {
	c, err := reach(from, port)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// echoing serves what the process listens on.
type echoing struct{}

func (echoing) AcceptConn(c *net.TCPConn) { go func() { defer c.Close(); _, _ = io.Copy(c, c) }() }
func (echoing) AcceptError(error)         {}

func TestKernel(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	for _, a := range []string{"2001:db8::1/64", "2001:db8::2/64", "2001:db8:0:1::1/64"} {
		peer.AddAddress(t, a)
	}
	peer.Command(t, "nft", "add", "table", "inet", "umbra_ban") // as a process that was killed leaves it
	peer.Command(t, "nft", "add", "set", "inet", "umbra_ban", "old", "{ type ipv4_addr; }")
	peer.Command(t, "nft", "add", "table", "inet", "somebody_elses")

	o := defaults()
	o.ExemptLoopback, o.Kernel = false, true
	p, log := newPolicy(t, o)
	ln, err := netio.SocketsOf(p.env.Process).Listen(t.Context(), netip.MustParseAddrPort("[::]:8388"))
	if err != nil {
		t.Fatal(err)
	}
	serving := make(chan struct{})
	go func() { defer close(serving); ln.Serve(echoing{}) }()
	defer func() { ln.Close(); <-serving }()
	other, err := net.Listen("tcp", "[::]:9999")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	before := client("127.0.0.8") // is banned before the rules are there
	fail(p, before, 3, core.ErrAuth)

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	defer func() { stop(); <-ended }()
	waitFor(t, "the rules", func() bool { return strings.Contains(peer.Command(t, "nft", "list", "ruleset"), "127.0.0.8") })
	if strings.Contains(peer.Command(t, "nft", "list", "table", "inet", "umbra_ban"), "set old") {
		t.Error("what an earlier process has left is still there")
	}

	runs, err := reach("127.0.0.66", 8388)
	if err != nil {
		t.Fatal(err)
	}
	defer runs.Close()
	if !reaches("2001:db8::1", 8388) {
		t.Fatal("an IPv6 client is not served")
	}
	fail(p, client("127.0.0.66"), 3, core.ErrAuth)
	fail(p, client("2001:db8::1"), 3, core.ErrAuth)
	p.table.impose(netip.MustParsePrefix("127.7.0.0/16"), time.Hour, time.Now()) // which is the table's alone
	waitFor(t, "the bans", func() bool {
		set := peer.Command(t, "nft", "list", "ruleset")
		return strings.Contains(set, "127.0.0.66") && strings.Contains(set, "2001:db8::")
	})
	for from, want := range map[string]bool{
		"127.0.0.66": false, "127.0.0.8": false, "2001:db8::1": false, "2001:db8::2": false,
		"127.0.0.67": true, "127.7.0.1": true, "2001:db8:0:1::1": true,
	} {
		if got := reaches(from, 8388); got != want {
			t.Errorf("%s reaches the port: %t, want %t", from, got, want)
		}
		if !reaches(from, 9999) {
			t.Errorf("%s does not reach a port that is not the process's", from)
		}
	}
	if _, err := io.WriteString(runs, "ping"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(runs, make([]byte, 4)); err != nil {
		t.Errorf("what runs was cut: %v", err)
	}

	p.table.lift(netip.MustParsePrefix("127.0.0.66/32"), time.Now())
	waitFor(t, "a ban that was lifted", func() bool { return reaches("127.0.0.66", 8388) })
	p.table.impose(netip.MustParsePrefix("127.0.0.67/32"), time.Second, time.Now())
	waitFor(t, "a ban of a second to begin", func() bool { return strings.Contains(peer.Command(t, "nft", "list", "ruleset"), "127.0.0.67") })
	waitFor(t, "a ban of a second to end by itself", func() bool { return reaches("127.0.0.67", 8388) })

	stop()
	<-ended
	if rules := peer.Command(t, "nft", "list", "tables"); strings.TrimSpace(rules) != "table inet somebody_elses" {
		t.Errorf("the end left %q, want only the table of the other program", rules)
	}
	warnings := strings.Count(log.String(), "level=WARN") - strings.Count(log.String(), "level=WARN msg=banned") // of loopback addresses
	if strings.Contains(log.String(), "level=ERROR") || warnings > 0 {
		t.Errorf("got the log\n%s", log)
	}
}

// TestKernelRefused: without the right to make rules the bans go on in the process.
func TestKernelRefused(t *testing.T) {
	p, log := newPolicy(t, defaults())
	refused := errors.New("operation not permitted")
	newKernel(p.table, func() []uint16 { return nil }, func() (firewall, error) { return nil, refused }).run(t.Context(), p.env.Log)
	fail(p, client("192.0.2.7"), 3, core.ErrAuth)
	if !isBanned(p, client("192.0.2.7")) || strings.Count(log.String(), "operation not permitted") != 1 {
		t.Errorf("banned %t, log\n%s", isBanned(p, client("192.0.2.7")), log)
	}
}
