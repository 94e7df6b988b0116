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

// Repair puts back what other software deletes: all, the rules, the bans; and returns how
// often at most once a minute.
func TestRepair(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	table := open(t, nft.Options{Scope: nft.NewConnections})
	if err := table.Guard([]uint16{443}); err != nil {
		t.Fatal(err)
	}
	repair := func(what string, want int) {
		t.Helper()
		if got, err := table.Repair(); got != want || err != nil {
			t.Errorf("%s: got %d repairs and %v, want %d", what, got, err, want)
		}
	}
	ban(t, table, one, time.Hour)
	ban(t, table, two, time.Hour)
	before := regexp.MustCompile(`expires \S+`).ReplaceAllString(rules(t), "")
	repair("nothing deleted", 0)
	repairs := 1
	for _, words := range []string{
		"flush ruleset",
		"delete table inet " + name,
		"flush table inet " + name,
		"flush chain inet " + name + " input",
	} {
		peer.Command(t, append([]string{"nft"}, strings.Fields(words)...)...)
		repair(words, repairs)
		repairs = 0 // the others come within a minute
		if got := regexp.MustCompile(`expires \S+|timeout \S+`).ReplaceAllString(rules(t), ""); len(timeouts(t)) != 2 || strings.Count(got, "drop") != 2 || !strings.Contains(got, "443") {
			t.Errorf("after %s: got the rules\n%s\nwant\n%s", words, rules(t), before)
		}
	}
	// A table of the same name with other content, as a saved file of rules makes it.
	peer.Command(t, "nft", "flush", "ruleset")
	peer.Command(t, "nft", "add", "table", "inet", name)
	peer.Command(t, "nft", "add", "set", "inet", name, "banned4", "{ type inet_service; }")
	ban(t, table, odd, time.Hour)
	if got := timeouts(t); len(got) != 3 {
		t.Errorf("after another table of the name: got the bans %v, want three", got)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
}
