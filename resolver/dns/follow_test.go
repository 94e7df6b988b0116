package dns

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
)

// TestFollow checks that a chain that a server leaves open is followed, to the
// servers of the name that it leads to, for 16 queries at the most. Its names
// may have any bytes, as other resolvers follow them.
func TestFollow(t *testing.T) {
	link := func(t testing.TB, q query, to string) []byte { return message(t, q, 0, q.name+" 60 CNAME "+to) }
	inner := newScripted(t, func(q query, back func([]byte)) {
		back(message(t, q, 0, q.name+" 30 A 10.0.0.1"))
	}, nil)
	outer := newScripted(t, func(q query, back func([]byte)) {
		switch name := strings.ToLower(q.name); name {
		case "to-corp.test.":
			back(link(t, q, "nas.corp.test."))
		case "to-localhost.test.":
			back(link(t, q, "a.localhost."))
		case "to-odd.test.":
			back(link(t, q, "a\\032b\\.c.test."))
		case "a\\ b\\.c.test.":
			back(message(t, q, 0, q.name+" 60 A 192.0.2.8"))
		case "long.test.": // all in one message, as recursive servers answer
			var records []string
			for i := range 40 {
				records = append(records, fmt.Sprintf("%s 60 CNAME l%d.test.", before(q.name, i), i))
			}
			back(message(t, q, 0, append(records, "l39.test. 60 A 192.0.2.9")...))
		case "round.test.":
			back(link(t, q, "round.test."))
		default: // steps: 9.step.test is followed by 8.step.test
			first, rest, _ := strings.Cut(name, ".")
			n, err := strconv.Atoi(first)
			if err != nil || n == 0 {
				back(message(t, q, 0, q.name+" 60 A 192.0.2.7"))
				return
			}
			back(link(t, q, fmt.Sprintf("%d.%s", n-1, rest)))
		}
	}, nil)
	o := options(t, outer.addr)
	o.Prefer = "ipv4-only"
	o.Domains = map[string][]option.NameServer{"corp.test": nameServers(t, inner.addr)}
	r := start(t, o)
	for name, want := range map[string]string{
		"to-corp.test": "10.0.0.1", "to-localhost.test": "", "to-odd.test": "192.0.2.8", "long.test": "192.0.2.9", "round.test": "",
		"0.step.test": "192.0.2.7", "15.step.test": "192.0.2.7", "17.step.test": "",
	} {
		got, err := r.LookupIP(t.Context(), name)
		if (err == nil) != (want != "") || want != "" && !slices.Equal(got, addrs(want)) {
			t.Errorf("%s: got %v, %v, want %s", name, got, err, want)
		}
	}
	found, err := r.Tell(t.Context(), "to-corp.test")
	if err != nil || len(found) != 1 || found[0].TTL > 30*time.Second {
		t.Errorf("got %+v, %v, want the least TTL of the chain", found, err)
	}
}

// before returns the name before number i of a chain that begins with name.
func before(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("l%d.test.", i-1)
}

// TestReuse checks that questions by TCP share a connection, and that one that the
// server has closed meanwhile is followed by another.
func TestReuse(t *testing.T) {
	s := newScripted(t, nil, func(q query, back func([]byte)) {
		back(said(t, q))
		if strings.EqualFold(q.name, "close.test.") {
			back(nil)
		}
	})
	o := options(t, "tcp://"+s.addr)
	o.Prefer = "ipv4-only"
	r := start(t, o)
	for _, name := range []string{"a.test", "b.test", "c.test", "close.test", "d.test", "e.test"} {
		if _, err := r.LookupIP(t.Context(), name); err == nil != (name == "a.test") || err != nil && !strings.Contains(err.Error(), "no such host") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, messages, conns := s.counts(); conns != 2 || messages < 6 {
		t.Errorf("got %d connections for %d questions, want 2", conns, messages)
	}
}
