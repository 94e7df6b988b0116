package probe

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// seconds formats a duration for people.
func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// countOf formats a number of things.
func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sizesOf returns the distinct sizes of records, sorted.
func sizesOf(records []Record) []int {
	var sizes []int
	for _, r := range records {
		sizes = append(sizes, r.Size)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// ranges formats sizes, and joins runs without another size of all between them:
// "0 to 43", "1, 7 to 9".
func ranges(sizes, all []int) string {
	const most = 5
	var parts []string
	for i := 0; i < len(sizes); {
		j := i
		for at := slices.Index(all, sizes[i]); j+1 < len(sizes) && all[at+j-i+1] == sizes[j+1]; {
			j++
		}
		part := fmt.Sprint(sizes[i])
		if j > i {
			part += fmt.Sprintf(" to %d", sizes[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	if len(parts) > most {
		parts = append(parts[:most-1], "others")
	}
	return strings.Join(parts, ", ")
}

// reaction describes what happened to records of one class.
func reaction(cfg Config, base bases, records []Record) string {
	first, last := records[0].After, records[0].After
	least, most, quiet := records[0].Data, records[0].Data, time.Duration(0)
	for _, r := range records {
		first, last = min(first, r.After), max(last, r.After)
		least, most = min(least, r.Data), max(most, r.Data)
		quiet = max(quiet, r.Quiet)
	}
	data := "silent"
	switch {
	case most > least:
		data = fmt.Sprintf("%d to %d bytes back", least, most)
	case most > 0:
		data = countOf(most, "byte") + " back"
	}
	c := classOf(cfg, base, records[0])
	switch {
	case records[0].Family.packets():
		return data
	case !records[0].ended():
		return data + ", " + stays(cfg, c.end)
	case c.atOnce:
		return fmt.Sprintf("%s, %s at once (%s at most)", data, c.end, seconds(quiet))
	case last-first > cfg.tolerance():
		return fmt.Sprintf("%s, %s after %s to %s", data, c.end, seconds(first), seconds(last))
	case len(records) == 1:
		return fmt.Sprintf("%s, %s after %s", data, c.end, seconds(last))
	}
	return fmt.Sprintf("%s, %s after %s (spread %s)", data, c.end, seconds(last), seconds(last-first))
}

// stays describes a connection that the server did not end.
func stays(cfg Config, e End) string {
	if e == EndData {
		return "and more"
	}
	return string(e) + " after " + seconds(cfg.Wait)
}

// brief describes the class of a record for a comparison.
func brief(cfg Config, base bases, r Record) string {
	c := classOf(cfg, base, r)
	text := stays(cfg, c.end)
	switch {
	case c.atOnce:
		text = string(c.end) + " at once"
	case r.ended():
		text = string(c.end) + " after " + seconds(r.After)
	}
	if c.data {
		text = countOf(r.Data, "byte") + " back, " + text
	}
	return text
}

// plural returns the phrase for the probes of a family.
func (f Family) plural() string {
	switch f {
	case Random:
		return "random bytes"
	case Opening:
		return "the first bytes of other protocols"
	case Slow:
		return "random bytes, one at a time"
	case Late:
		return "random bytes after a pause"
	case Flood:
		return "a flood of random bytes"
	case Replay:
		return "a recorded request, as it was"
	case Altered:
		return "a recorded request with bytes changed"
	case Damaged:
		return "a new request with a byte changed"
	case Cut:
		return "the beginning of a new request"
	case Datagram:
		return "random datagrams"
	case DgDamaged:
		return "a datagram with a byte changed"
	case DgReplay:
		return "a recorded datagram, as it was"
	}
	return string(f)
}

// after returns the phrase for a finish.
func (f Finish) after() string {
	if f == FIN {
		return ", then FIN"
	}
	return ""
}
