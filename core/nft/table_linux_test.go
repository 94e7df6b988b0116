package nft_test

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core/nft"
	"github.com/umbra-proxy/umbra/test/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "umbra_test"

var (
	one = netip.MustParsePrefix("192.0.2.1/32")
	two = netip.MustParsePrefix("2001:db8:1:2::/64")
	odd = netip.MustParsePrefix("192.0.2.3/32")
)

func open(t *testing.T, o nft.Options) *nft.Table {
	t.Helper()
	o.Name, o.Bits4, o.Bits6 = name, 32, 64
	table, err := nft.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func ban(t *testing.T, table *nft.Table, client netip.Prefix, d time.Duration) {
	t.Helper()
	if err := table.Ban(client, d); err != nil {
		t.Fatal(err)
	}
}

// timeouts returns the timeout of each client in the kernel.
func timeouts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`([0-9a-f.:]+) timeout (\w+)`).FindAllStringSubmatch(rules(t), -1) {
		all[m[1]] = m[2]
	}
	return all
}

func rules(t *testing.T) string { return peer.Command(t, "nft", "list", "ruleset") }

// A ban replaces an earlier one, whether longer or shorter, and one that was lifted or has
// expired can be lifted and created again.
func TestBan(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	table := open(t, nft.Options{})
	ban(t, table, one, time.Hour)
	ban(t, table, two, time.Hour)
	ban(t, table, one, 2*time.Hour)
	ban(t, table, two, 30*time.Minute)
	if got := timeouts(t); got["192.0.2.1"] != "2h" || got["2001:db8:1:2::"] != "30m" || len(got) != 2 {
		t.Errorf("got %v, want 2h and 30m", got)
	}
	for range 2 {
		if err := table.Free(one); err != nil {
			t.Error(err)
		}
	}
	ban(t, table, odd, 0) // one second at least
	for until := time.Now().Add(20 * time.Second); len(timeouts(t)) > 1; {
		if time.Now().After(until) {
			t.Fatalf("the kernel keeps a ban of a second:\n%s", rules(t))
		}
	}
	ban(t, table, odd, time.Hour)
	ban(t, table, one, time.Hour)
	if got := timeouts(t); got["192.0.2.1"] != "1h" || got["192.0.2.3"] != "1h" || len(got) != 3 {
		t.Errorf("got %v, want three bans", got)
	}
	if err := table.Close(); err != nil || rules(t) != "" {
		t.Errorf("after the end: got %v and the rules\n%s", err, rules(t))
	}
}

// If other software deletes the table, it is created again with all bans.
func TestRestore(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	table := open(t, nft.Options{Scope: nft.NewConnections})
	if err := table.Guard([]uint16{443, 8388}); err != nil {
		t.Fatal(err)
	}
	const many = 510 // more than fit one message
	for i := range many {
		ban(t, table, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), time.Hour)
	}
	ban(t, table, two, time.Hour)
	for what, change := range map[string]func() error{
		"a ban":        func() error { return table.Ban(one, time.Hour) },
		"other ports":  func() error { return table.Guard([]uint16{443, 8388, 80}) },
		"a lifted ban": func() error { return table.Free(two) },
	} {
		peer.Command(t, "nft", "flush", "ruleset")
		if err := change(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := len(timeouts(t)); got < many || !strings.Contains(rules(t), "443") {
			t.Errorf("%s: got %d bans, want %d or more, and the ports", what, got, many)
		}
	}
	got := timeouts(t)
	if _, lifted := got["2001:db8:1:2::"]; got["192.0.2.1"] == "" || lifted || len(got) != many+1 {
		t.Errorf("got %d bans, of them 192.0.2.1 for %q and the lifted one: %t", len(got), got["192.0.2.1"], lifted)
	}
	peer.Command(t, "nft", "flush", "ruleset")
	if err := table.Close(); err != nil {
		t.Errorf("end of a table that is gone: %v", err)
	}
}

// A table name belongs to one process, and the table of a killed process is replaced.
func TestOpen(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	peer.Command(t, "nft", "add", "table", "inet", name)
	peer.Command(t, "nft", "add", "set", "inet", name, "old", "{ type ipv4_addr; }")
	first := open(t, nft.Options{Max: 2})
	if got := rules(t); strings.Contains(got, "old") {
		t.Errorf("what an earlier process left is still there:\n%s", got)
	}
	ban(t, first, one, time.Hour)
	if _, err := nft.Open(nft.Options{Name: name, Bits4: 32, Bits6: 64}); !errors.Is(err, nft.ErrInUse) {
		t.Errorf("a second table: got %v, want an ErrInUse", err)
	}
	ban(t, first, two, time.Hour)
	if err := first.Ban(odd, time.Hour); !errors.Is(err, nft.ErrFull) {
		t.Errorf("a third ban of two: got %v, want an ErrFull", err)
	}
	ban(t, first, one, 2*time.Hour) // which is banned already
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	second := open(t, nft.Options{})
	if got := timeouts(t); len(got) > 0 {
		t.Errorf("got %v in a new table", got)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
