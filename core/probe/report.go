package probe

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is a line of the table: probes with the same reaction.
type row struct {
	sent, then string
	records    []Record
}

// rows groups the records into rows, in the order of the families.
func rows(res *Result) []row {
	base := baseOf(res.Config, res.Records)
	var all []row
	for _, family := range families() {
		for _, f := range []Finish{Open, FIN, ""} {
			some := slices.DeleteFunc(slices.Clone(res.Records), func(r Record) bool {
				return r.Family != family || r.Finish != f
			})
			slices.SortStableFunc(some, func(a, b Record) int { return a.Size - b.Size })
			all = append(all, rowsOf(res.Config, base, some)...)
		}
	}
	return all
}

// rowsOf groups the records of one family and finish.
func rowsOf(cfg Config, base bases, some []Record) []row {
	type group struct {
		class
		unsure bool
	}
	var order []group
	groups := map[group][]Record{}
	for _, r := range some {
		g := group{classOf(cfg, base, r), r.Unsure}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], r)
	}
	var all []row
	for _, g := range order {
		parts := [][]Record{groups[g]}
		if g.end == EndFIN && !g.atOnce || g.end == EndRST && !g.atOnce {
			parts = clusters(cfg, groups[g])
		}
		for _, part := range parts {
			all = append(all, row{label(part, some), string(part[0].Finish), part})
		}
	}
	return all
}

// label names the probes of a row among all of their family and finish.
func label(part, all []Record) string {
	family := part[0].Family
	switch {
	case family == Random || family == Cut || family == Datagram:
		sizes := sizesOf(part)
		if len(sizes) == 1 {
			return family.plural() + ", " + countOf(sizes[0], "byte")
		}
		return fmt.Sprintf("%s, %s bytes", family.plural(), ranges(sizes, sizesOf(all)))
	case len(part) < len(all):
		return family.plural() + named(part)
	}
	return family.plural()
}

// WriteTable writes the probes and the server's reactions; probes with the same
// reaction share a line.
func WriteTable(w io.Writer, res *Result) error {
	base := baseOf(res.Config, res.Records)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "sent\tthen\tprobes\treaction")
	for _, r := range rows(res) {
		then := "waits"
		if r.then == string(FIN) {
			then = "FIN"
		}
		text := reaction(res.Config, base, r.records)
		switch first := r.records[0]; {
		case !first.End.judged():
			text = string(first.End) + ": " + first.Err
		case first.Unsure:
			text += ", once"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", r.sent, then, len(r.records), text)
	}
	switch res.Salt {
	case saltServed:
		fmt.Fprintf(t, "a valid request whose salt came before with garbage\twaits\t1\tserved\n")
	case saltRefused:
		fmt.Fprintf(t, "a valid request whose salt came before with garbage\twaits\t1\trefused\n")
	}
	return t.Flush()
}

// WriteVerdict writes the findings, the notes and the verdict.
func WriteVerdict(w io.Writer, res *Result, v Verdict) error {
	var b strings.Builder
	for _, t := range v.Findings {
		fmt.Fprintf(&b, "tell: %s\n", t.Text)
	}
	for _, n := range v.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "verdict: %s\n", v.text(len(res.Records)))
	_, err := io.WriteString(w, b.String())
	return err
}

// text returns the verdict in one line.
func (v Verdict) text(probes int) string {
	tells := countOf(len(v.Findings), "tell") + " seen"
	if len(v.Findings) == 0 {
		tells = "no difference seen"
	}
	if v.Undecided != "" {
		return "none; " + v.Undecided + "; so far " + tells
	}
	return fmt.Sprintf("%s in %s", tells, countOf(probes, "probe"))
}

// Clean reports whether there is a verdict without findings.
func (v Verdict) Clean() bool { return len(v.Findings) == 0 && v.Undecided == "" }

// report is the JSON form of a result. Times are in milliseconds.
type report struct {
	Server  string         `json:"server"`
	Address string         `json:"address"`
	Method  string         `json:"method,omitempty"` // with a key
	Wait    float64        `json:"wait_ms"`
	Quick   bool           `json:"quick"`
	Planned int            `json:"planned"`
	Salt    string         `json:"burnt_salt,omitempty"` // served or refused
	Records []recordReport `json:"records"`
	Tells   []Finding      `json:"tells"`
	Notes   []string       `json:"notes"`
	Verdict string         `json:"verdict"` // clean, tells or undecided
	Text    string         `json:"text"`
}

type recordReport struct {
	Family  Family  `json:"family"`
	Name    string  `json:"name,omitempty"`
	Size    int     `json:"size"`
	Finish  Finish  `json:"finish,omitempty"` // open or FIN; empty over UDP
	Sent    int     `json:"sent"`
	End     End     `json:"end"`
	Data    int     `json:"data"`
	Connect float64 `json:"connect_ms"`
	After   float64 `json:"after_ms"` // from the connection's beginning
	Quiet   float64 `json:"quiet_ms"` // from the last byte or FIN
	Unsure  bool    `json:"unsure,omitempty"`
	Err     string  `json:"err,omitempty"`
}

// WriteJSON writes the records and the verdict.
func WriteJSON(w io.Writer, res *Result, v Verdict) error {
	out := report{
		Server: res.Config.Server, Address: res.Addr, Wait: ms(res.Config.Wait), Quick: res.Config.Quick,
		Planned: res.Planned, Salt: res.Salt, Text: v.text(len(res.Records)),
		Records: []recordReport{}, Tells: append([]Finding{}, v.Findings...), Notes: append([]string{}, v.Notes...),
	}
	if res.Config.Key != nil {
		out.Method = res.Config.Key.Cipher.Method()
	}
	switch {
	case v.Undecided != "":
		out.Verdict = "undecided"
	case len(v.Findings) > 0:
		out.Verdict = "tells"
	default:
		out.Verdict = "clean"
	}
	for _, r := range res.Records {
		out.Records = append(out.Records, recordReport{
			r.Family, r.Name, r.Size, r.Finish, r.Sent, r.End, r.Data, ms(r.Connect), ms(r.After), ms(r.Quiet), r.Unsure, r.Err,
		})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
