package ban

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/policy/store"
)

// A writer of the store has no client banned by a range that holds all, and makes no
// terminal execute anything.
func TestHostileStore(t *testing.T) {
	p, log := newPolicy(t, defaults())
	set := shared{p.table, "ban/ban/"}
	now := time.Now()
	put := func(addr, failure string) {
		b := Ban{Addr: netip.MustParsePrefix(addr), At: now, Since: now, Until: now.Add(time.Hour), Count: 1, Failure: failure}
		e := set.entry(b)
		set.Merge(store.Entry{Key: e.Key, Value: e.Value, At: e.At, Until: e.Until})
	}
	for _, addr := range []string{"0.0.0.0/0", "128.0.0.0/1", "10.0.0.0/7", "::/0", "2000::/3", "2001::/15"} {
		put(addr, "x")
	}
	if list := p.table.list(); len(list) > 0 || isBanned(p, client("203.0.113.7")) {
		t.Errorf("got the bans %v, want none", list)
	}
	if got := strings.Count(log.String(), "too wide"); got != 1 {
		t.Errorf("got %d lines, want 1, in %s", got, log)
	}
	put("10.0.0.0/8", "\x1b]0;owned\x07\x1b[2J\u202e\u009b1m"+strings.Repeat("x", 600))
	answer, err := p.Command(t.Context(), []string{"list"})
	if text := fmt.Sprint(answer); err != nil || !strings.Contains(text, "10.0.0.0/8") || strings.ContainsAny(text, "\x1b\x07\u202e\u009b") || len(text) > 500 {
		t.Errorf("got %q, %v, want no control characters", text, err)
	}
	for _, words := range [][]string{{"add", "0.0.0.0/0"}, {"add", "::/1", "1h"}} {
		if _, err := p.Command(t.Context(), words); err == nil || !strings.Contains(err.Error(), "too wide") {
			t.Errorf("%q: got %v, want a refusal", words, err)
		}
	}
}
