package app

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/terminal"
	"github.com/umbra-proxy/umbra/core/view"
)

const (
	barWidth   = 24 // columns of the time of a journey
	traceTime  = "2006-01-02 15:04:05.000"
	maxPadding = 40 // columns that the names of steps are padded to
)

// writeJourney writes a journey for people:
//
//	2026-11-30 14:03:22.123  192.0.2.0/24 -> example.org:443  ok  1.2s  up 1.2KiB  down 3.4MiB
//	  p  tcp  alice  inbound.socks5 > outbound.paris
//	      0ms  [==                      ]  handshake  inbound.socks5   2.1ms
//	      2ms  [ =====                  ]  dial       outbound.paris  40.0ms  192.0.2.7:443
func writeJourney(w io.Writer, j view.Journey, coloured bool) error {
	paint := func(s terminal.Style, text string) string {
		if !coloured {
			return text
		}
		return s.Apply(text)
	}
	result := terminal.Green
	if j.Result != "ok" {
		result = terminal.Red
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s -> %s  %s  %s  up %s  down %s\n", paint(terminal.Bold, j.Began.Local().Format(traceTime)),
		shown(j.Client), shown(cmp.Or(j.Target, "-")), paint(result, shown(j.Result)), tookText(j.Took),
		option.Size(max(j.Up, 0)).Rounded(), option.Size(max(j.Down, 0)).Rounded())
	about := []string{j.Pipeline, j.Network}
	if j.User != "" {
		about = append(about, j.User)
	}
	about = append(about, strings.Join(append([]string{j.Inbound}, j.Path...), " > "))
	fmt.Fprintf(&b, "  %s\n", paint(terminal.Dim, shown(strings.Join(about, "  "))))
	kinds, names, tooks := 0, 0, 0
	for _, s := range j.Steps {
		kinds, names = max(kinds, terminal.Width(shown(s.Kind))), max(names, terminal.Width(shown(s.Name)))
		tooks = max(tooks, len(tookText(s.Took)))
	}
	said := map[string]bool{"": true} // errors: that of a dial ends the connection too
	for _, s := range j.Steps {
		line := fmt.Sprintf("%9s  [%s]  %s  %s  %*s  %s", tookText(s.At), paint(terminal.Dim, barOf(s, j.Took)),
			terminal.Fit(shown(s.Kind), kinds), terminal.Fit(shown(s.Name), min(names, maxPadding)), tooks, tookText(s.Took), shown(s.Detail))
		if !said[s.Error] {
			line = strings.TrimRight(line, " ") + "  " + paint(terminal.Red, shown(s.Error))
		}
		said[s.Error] = true
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	if !said[j.Error] {
		fmt.Fprintf(&b, "%9s  %s\n", "", paint(terminal.Red, shown(j.Error)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// barOf draws when a step was, in a journey that took some milliseconds.
func barOf(s view.Step, took float64) string {
	took = max(took, s.At+s.Took, math.SmallestNonzeroFloat64)
	column := func(at float64) int { return int(math.Round(min(max(at/took, 0), 1) * barWidth)) }
	from, to := min(column(s.At), barWidth-1), column(s.At+s.Took)
	to = max(to, from+1) // something is always seen
	return strings.Repeat(" ", from) + strings.Repeat("=", to-from) + strings.Repeat(" ", barWidth-to)
}

// tookText returns milliseconds with three digits or so.
func tookText(ms float64) string {
	switch d := time.Duration(ms * float64(time.Millisecond)); {
	case ms < 10:
		return fmt.Sprintf("%.1fms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0fms", ms)
	case ms < 60_000:
		return fmt.Sprintf("%.2fs", ms/1000)
	default:
		return d.Round(time.Second).String()
	}
}

// shown returns a text that strangers chose as a terminal may have it.
func shown(text string) string { return core.Visible(text, "") }
