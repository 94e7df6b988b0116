package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/terminal"
)

// column is a column of the list.
type column struct {
	head string
	rank int // columns of the highest rank go first where the screen is narrow; 0 stays
	text int // 0 for numbers, which go to the right; else how narrow the text may be cut
	cell func(r *Row) string
}

// columns returns the columns of a group.
func columns(by Group, now time.Time) []column {
	up := column{"up/s", 0, 0, func(r *Row) string { return rateText(r.UpRate) }}
	down := column{"down/s", 0, 0, func(r *Row) string { return rateText(r.DownRate) }}
	totals := []column{
		{"up", 3, 0, func(r *Row) string { return sizeText(r.Up) }},
		{"down", 3, 0, func(r *Row) string { return sizeText(r.Down) }},
	}
	count := column{"conns", 1, 0, func(r *Row) string { return strconv.Itoa(r.Connections) }}
	name := column{string(by), 0, 16, func(r *Row) string { return printable(r.Name) }}
	list := []column{name, count, up, down}
	switch by {
	case ByPipeline:
		list = slices.Concat(list, totals, []column{
			{"handshakes", 4, 0, func(r *Row) string { return strconv.Itoa(r.Pipeline.Handshakes) }},
			{"accepted", 4, 0, func(r *Row) string { return strconv.FormatUint(r.Pipeline.Accepted, 10) }},
			{"failed", 2, 0, func(r *Row) string { return strconv.FormatUint(failed(r.Pipeline.Ended), 10) }},
		})
	case ByUser:
		list = slices.Concat(list, totals, []column{
			{"used", 2, 0, func(r *Row) string { return sizeText(r.User.Used) }},
			{"quota", 2, 0, func(r *Row) string { return QuotaText(r.User.Quota) }},
			{"seen", 4, 0, func(r *Row) string { return ageText(now, r.User.LastSeen) }},
		})
	case ByOutbound:
		list = slices.Concat(list, totals, []column{
			{"state", 1, 0, func(r *Row) string { return printable(string(r.Outbound.State)) }},
			{"last error", 5, 20, func(r *Row) string { return printable(r.Outbound.LastError) }},
		})
	case ByConnection:
		list = slices.Concat([]column{
			{"id", 0, 0, func(r *Row) string { return r.Name }},
			{"age", 4, 0, func(r *Row) string { return ageText(now, r.Connection.Since) }},
			{"net", 5, 0, func(r *Row) string { return printable(r.Connection.Network) }},
			{"user", 2, 8, func(r *Row) string { return printable(cmp.Or(r.Connection.User, "-")) }},
			{"client", 3, 15, func(r *Row) string { return printable(r.Connection.Client) }},
			{"target", 0, 24, func(r *Row) string { return printable(cmp.Or(r.Connection.Target, "-")) }},
			{"path", 4, 14, func(r *Row) string { return printable(strings.Join(r.Connection.Path, " > ")) }},
			up, down,
		}, totals, []column{
			{"state", 5, 8, func(r *Row) string { return printable(r.Connection.State) }},
		})
	}
	return list
}

// layout returns the list as lines: the head, and one for each row. It is as wide as width says,
// or as it has to be for a width of 0.
func layout(by Group, now time.Time, rows []Row, width int) []string {
	list := columns(by, now)
	cells := make([][]string, len(rows)+1)
	for _, c := range list {
		cells[0] = append(cells[0], strings.ToUpper(c.head))
		for i := range rows {
			cells[i+1] = append(cells[i+1], c.cell(&rows[i]))
		}
	}
	widths := make([]int, len(list))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], terminal.Width(cell))
		}
	}
	if width > 0 {
		shrink(list, widths, width)
	}
	lines := make([]string, len(cells))
	for i, line := range cells {
		var parts []string
		for j, cell := range line {
			if widths[j] > 0 {
				parts = append(parts, align(cell, widths[j], list[j].text > 0))
			}
		}
		lines[i] = strings.TrimRight(strings.Join(parts, gap), " ")
	}
	return lines
}

const gap = "  " // between columns

// shrink makes columns narrower until they fit: those of text as far as they can be, then it
// gives the columns of the highest rank the width 0, which leaves them out.
func shrink(list []column, widths []int, width int) {
	for {
		over := -len(gap) - width
		for _, w := range widths {
			if w > 0 {
				over += w + len(gap)
			}
		}
		for over > 0 { // the widest text first
			widest := -1
			for i, c := range list {
				if c.text > 0 && widths[i] > c.text && (widest < 0 || widths[i] > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				break
			}
			widths[widest]--
			over--
		}
		last := -1
		for i, c := range list {
			if widths[i] > 0 && c.rank > 0 && (last < 0 || c.rank >= list[last].rank) {
				last = i
			}
		}
		if over <= 0 || last < 0 {
			return
		}
		widths[last] = 0
	}
}

func align(cell string, width int, text bool) string {
	if text {
		return terminal.Fit(cell, width)
	}
	return strings.Repeat(" ", max(0, width-terminal.Width(cell))) + cell
}

// printable returns a text that strangers chose without characters that a terminal executes.
func printable(text string) string { return core.Visible(text, "") }

func connectionName(id uint64) string { return strconv.FormatUint(id, 10) }

// failed returns how many connections did not end in order.
func failed(ended map[string]uint64) (n uint64) {
	for reason, count := range ended {
		if reason != "ok" {
			n += count
		}
	}
	return n
}

func sizeText(n int64) string { return option.Size(max(n, 0)).Rounded() }

// rateText returns bytes a second; "-" for what is not known.
func rateText(perSecond float64) string {
	if perSecond < 0 {
		return "-"
	}
	return sizeText(int64(perSecond)) + "/s"
}

// QuotaText returns a quota; "-" for none.
func QuotaText(n int64) string {
	if n <= 0 {
		return "-"
	}
	return sizeText(n)
}

// ageText returns how long ago something was, in one unit; "-" for never.
func ageText(now, then time.Time) string {
	if then.IsZero() {
		return "-"
	}
	switch age := now.Sub(then); {
	case age < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(age.Seconds())))
	case age < time.Hour:
		return fmt.Sprintf("%dm", int(age.Minutes()))
	case age < 48*time.Hour:
		return fmt.Sprintf("%dh", int(age.Hours()))
	default:
		return fmt.Sprintf("%dd", int(age.Hours())/24)
	}
}
