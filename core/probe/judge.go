package probe

import (
	"fmt"
	"slices"
	"strings"
)

// A Finding is a property by which an observer can distinguish the server: a tell.
type Finding struct {
	Kind string `json:"kind"` // data, size, at-once, differs, deadline, salt
	Text string `json:"text"`
}

// Verdict is what Judge concludes from the records.
type Verdict struct {
	Findings  []Finding
	Notes     []string // further facts about the run
	Undecided string   // why there is no verdict, or ""
}

// Judge derives a verdict from res alone. It needs no clock and no network.
func Judge(res *Result) Verdict {
	j := &judge{cfg: res.Config, base: baseOf(res.Config, res.Records)}
	for _, r := range res.Records {
		if r.usable() {
			j.records = append(j.records, r)
		}
	}
	j.data()
	for _, f := range []Finish{Open, FIN} {
		j.atOnce(f)
		j.sizes(f)
		j.deadline(f)
		for _, family := range families()[1:] {
			j.compare(family, f)
		}
	}
	j.packets(res)
	j.salt(res)
	j.notes(res)
	j.decide(res)
	return j.verdict
}

// judge accumulates a verdict.
type judge struct {
	cfg     Config
	base    bases
	records []Record // the usable ones
	verdict Verdict
}

func (j *judge) finding(kind, format string, args ...any) {
	j.verdict.Findings = append(j.verdict.Findings, Finding{kind, fmt.Sprintf(format, args...)})
}

func (j *judge) note(format string, args ...any) {
	j.verdict.Notes = append(j.verdict.Notes, fmt.Sprintf(format, args...))
}

// of returns the records of a family and a finish, ordered by size.
func (j *judge) of(family Family, f Finish) []Record {
	var all []Record
	for _, r := range j.records {
		if r.Family == family && r.Finish == f {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b Record) int { return a.Size - b.Size })
	return all
}

// silent returns the records without data. Data is a finding of its own.
func silent(records []Record) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Data > 0 })
}

// data adds a finding for each family that the server answered.
func (j *judge) data() {
	for _, family := range families() {
		var got []Record
		probes := 0
		for _, r := range j.records {
			if r.Family != family {
				continue
			}
			if probes++; r.Data > 0 {
				got = append(got, r)
			}
		}
		if len(got) == 0 {
			continue
		}
		least := slices.MinFunc(got, func(a, b Record) int { return a.Data - b.Data }).Data
		most := slices.MaxFunc(got, func(a, b Record) int { return a.Data - b.Data }).Data
		amount := countOf(most, "byte")
		if most > least {
			amount = fmt.Sprintf("%d to %d bytes", least, most)
		}
		switch first := got[0]; {
		case family == Replay:
			j.finding("data", "a replayed first flight got %s of data, %d of %d times: the server accepts replays", amount, len(got), probes)
		case family == Random && first.Size == 0 && first.Finish == Open:
			j.finding("data", "the server sends first: %s without a request; Shadowsocks servers never do", countOf(first.Data, "byte"))
		default:
			j.finding("data", "the server answered %s with data, %d of %d times: %s%s", family.plural(), len(got), probes, amount, named(got))
		}
	}
}

// atOnce adds a finding if the server ends every connection at its first bytes,
// regardless of their content.
func (j *judge) atOnce(f Finish) {
	some := withBytes(silent(j.of(Random, f)))
	if f == FIN || len(some) == 0 {
		return
	}
	ends := map[End]bool{}
	for _, r := range some {
		c := classOf(j.cfg, j.base, r)
		if !c.atOnce {
			return
		}
		ends[c.end] = true
	}
	how := "FIN or RST"
	if len(ends) == 1 {
		how = string(some[0].End)
	}
	j.finding("at-once", "random bytes: %s at once after %s: the server does not wait for more before it ends the connection", how, countOf(some[0].Size, "byte"))
}

// withBytes returns the records of probes that sent at least one byte.
func withBytes(records []Record) []Record {
	return slices.DeleteFunc(records, func(r Record) bool { return r.Size == 0 })
}

// sizes adds a finding if the reaction depends on the number of random bytes.
func (j *judge) sizes(f Finish) {
	all := silent(j.of(Random, f))
	if f == Open && slices.ContainsFunc(j.verdict.Findings, func(t Finding) bool { return t.Kind == "at-once" }) {
		all = withBytes(all) // the empty probe waits by design, and at-once is a finding already
	}
	changes, at := 0, 0
	for i := 1; i < len(all); i++ {
		if classOf(j.cfg, j.base, all[i]) != classOf(j.cfg, j.base, all[i-1]) {
			changes++
			at = i
		}
	}
	switch {
	case changes == 1 && all[at-1].Size < all[at].Size:
		j.finding("size", "random bytes%s: %s up to %s and %s from %d: the size of the server's first read is visible", f.after(),
			brief(j.cfg, j.base, all[at-1]), countOf(all[at-1].Size, "byte"), brief(j.cfg, j.base, all[at]), all[at].Size)
	case changes > 0:
		j.finding("size", "random bytes%s: reactions differ: %s", f.after(), j.tally(all))
	}
}

// tally lists the classes of records and the sizes in each.
func (j *judge) tally(records []Record) string {
	var order []class
	groups := map[class][]Record{}
	for _, r := range records {
		c := classOf(j.cfg, j.base, r)
		if groups[c] == nil {
			order = append(order, c)
		}
		groups[c] = append(groups[c], r)
	}
	var parts []string
	for _, c := range order {
		parts = append(parts, fmt.Sprintf("%s for %s", reaction(j.cfg, j.base, groups[c]), ranges(sizesOf(groups[c]), sizesOf(records))))
	}
	return strings.Join(parts, "; ")
}

// named lists what distinguishes records, such as sizes or names, or returns "".
func named(records []Record) string {
	const most = 6
	var names []string
	for _, r := range records {
		name := r.Name
		if r.Family == Random || r.Family == Cut || r.Family == Datagram {
			name = countOf(r.Size, "byte")
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	if len(names) > most {
		names = append(names[:most-1], "others")
	}
	return " (" + strings.Join(names, ", ") + ")"
}
