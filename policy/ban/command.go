package ban

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

var _ core.Commander = (*Policy)(nil)

// Line is a ban in the answer of `umbra ban list`. Its text is the answer of
// `umbra ban add`.
type Line struct {
	Client   string    `json:"client"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Times    int       `json:"times"`
	Failures string    `json:"failures"`
	Refused  int64     `json:"refused"`
}

// String returns the answer to a ban that was added.
func (l Line) String() string {
	return fmt.Sprintf("%s is banned for %s", l.Client, l.Until.Sub(l.Since).Round(time.Second))
}

// Lines are the active bans.
type Lines []Line

// String returns a table.
func (all Lines) String() string {
	if len(all) == 0 {
		return "no client is banned"
	}
	return aligned("client\tsince\tleft\ttimes\trefused\tfailures\n", func(w io.Writer) {
		for _, l := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", l.Client, l.Since.Local().Format(time.DateTime),
				time.Until(l.Until).Round(time.Second), l.Times, l.Refused, l.Failures)
		}
	})
}

// Freed is a client whose ban was removed.
type Freed string

// String returns the answer to a ban that was removed.
func (f Freed) String() string { return string(f) + " is no longer banned" }

// Stats is the answer of `umbra ban stats`.
type Stats struct {
	Banned     int   `json:"banned"`     // active bans
	Remembered int   `json:"remembered"` // ended bans that still count
	Failing    int   `json:"failing"`    // addresses with failures that may count
	Served     int   `json:"served"`     // addresses that were served recently
	Refused    int64 `json:"refused"`    // connections refused by the active bans
}

// String returns a table.
func (s Stats) String() string {
	return aligned("", func(w io.Writer) {
		fmt.Fprintf(w, "banned\t%d\nconnections refused by these bans\t%d\nended bans that still count\t%d\n", s.Banned, s.Refused, s.Remembered)
		fmt.Fprintf(w, "addresses with failures\t%d\naddresses that were served\t%d\n", s.Failing, s.Served)
	})
}

// aligned returns head and the output of write, with tab-separated cells aligned in
// columns.
func aligned(head string, write func(io.Writer)) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, head)
	write(t)
	_ = t.Flush() // to memory
	return strings.TrimSuffix(b.String(), "\n")
}

// Command executes the commands of `umbra ban`. Each answer is a fmt.Stringer.
//
//	list                     lists the active bans
//	add ADDRESS [DURATION]   bans an address or a range
//	remove ADDRESS           removes a ban
//	stats                    counts bans, failures and refusals
func (p *Policy) Command(_ context.Context, words []string) (any, error) {
	now := time.Now()
	switch {
	case len(words) == 1 && words[0] == "list":
		return p.lines(now), nil
	case len(words) == 1 && words[0] == "stats":
		return p.table.stats(now), nil
	case (len(words) == 2 || len(words) == 3) && words[0] == "add":
		return p.add(words[1:], now)
	case len(words) == 2 && words[0] == "remove":
		addr, err := p.parse(words[1])
		if err != nil {
			return nil, err
		}
		if !p.table.lift(addr, now) {
			return nil, fmt.Errorf("%s is not banned", name(addr))
		}
		return Freed(name(addr)), nil
	}
	return nil, errors.New("want list, stats, add ADDRESS [DURATION] or remove ADDRESS")
}

func (p *Policy) add(words []string, now time.Time) (any, error) {
	addr, err := p.parse(words[0])
	if err != nil {
		return nil, err
	}
	if isTooWide(addr) {
		return nil, fmt.Errorf("%s is too wide: want /%d or longer for IPv4, /%d or longer for IPv6", addr, minBits4, minBits6)
	}
	if p.rules.exempts(addr.Addr()) {
		return nil, fmt.Errorf("%s is exempt, by exempt or exempt_loopback: a ban would not hold", name(addr))
	}
	d := p.rules.Duration.Std()
	if len(words) > 1 {
		if d, err = time.ParseDuration(words[1]); err != nil || d <= 0 {
			return nil, fmt.Errorf("invalid duration %q: want one such as %q", words[1], "24h")
		}
	}
	if most := p.rules.MaxDuration.Std(); d > most {
		return nil, fmt.Errorf("%s is longer than max_duration, %s", d, most)
	}
	p.table.impose(addr, d, now)
	return Line{Client: name(addr), Since: now, Until: now.Add(d), Failures: byHand}, nil
}

// parse parses an address, which stands for its client's prefix, or a range.
func (p *Policy) parse(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return p.rules.clientOf(ip.Unmap()), nil
	}
	r, err := netip.ParsePrefix(text)
	if err != nil || r.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("invalid address %q: want %q or %q", text, "203.0.113.7", "203.0.113.0/24")
	}
	return r.Masked(), nil
}

// lines returns the active bans, the latest first.
func (p *Policy) lines(now time.Time) Lines {
	lines := Lines{}
	for _, b := range p.table.list() {
		if b.IsActive(now) {
			lines = append(lines, Line{name(b.Addr), b.Since, b.Until, max(1, b.Count), b.Failure, b.Refused})
		}
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Client, b.Client)) })
	return lines
}

func (t *table) stats(now time.Time) (s Stats) {
	for _, b := range t.list() {
		if b.IsActive(now) {
			s.Banned++
			s.Refused += b.Refused
		} else {
			s.Remembered++
		}
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	s.Failing, s.Served = t.tallies.Len(), t.served.Len()
	return s
}
