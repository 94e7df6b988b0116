package probe

import (
	"fmt"
	"slices"
	"strings"
)

// A Finding is something by which an observer can tell the server from others.
type Finding struct {
	Kind string `json:"kind"` // data, size, at-once, differs, deadline, salt
	Text string `json:"text"`
}

// Verdict is what the records say.
type Verdict struct {
	Tells     []Finding
	Notes     []string // what a reader should know beside
	Undecided string   // why there is no verdict, or ""
}

// Judge looks for tells. It needs no clock and no network.
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

// judge is a verdict in the making.
type judge struct {
	cfg     Config
	base    bases
	records []Record // that are usable
	verdict Verdict
}

func (j *judge) tell(kind, format string, args ...any) {
	j.verdict.Tells = append(j.verdict.Tells, Finding{kind, fmt.Sprintf(format, args...)})
}

func (j *judge) note(format string, args ...any) {
	j.verdict.Notes = append(j.verdict.Notes, fmt.Sprintf(format, args...))
}

// of returns the records of a family and a finish, the smallest first.
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

// silent returns those that got no data: data is a tell of its own.
func silent(records []Record) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Data > 0 })
}

// data tells of answers to what deserves none.
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
			j.tell("data", "a replayed first flight got %s of data, %d of %d times: recordings work", amount, len(got), probes)
		case family == Random && first.Size == 0 && first.Finish == Open:
			j.tell("data", "the server speaks first: %s without being asked; no Shadowsocks server does", countOf(first.Data, "byte"))
		default:
			j.tell("data", "the server answered %s with data, %d of %d times: %s%s", family.plural(), len(got), probes, amount, named(got))
		}
	}
}

// atOnce tells of a server that ends a connection for its first bytes, whatever
// they are.
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
	j.tell("at-once", "random bytes: %s at once after %s: the server does not wait before it gives up", how, countOf(some[0].Size, "byte"))
}

// withBytes returns those that sent something.
func withBytes(records []Record) []Record {
	return slices.DeleteFunc(records, func(r Record) bool { return r.Size == 0 })
}

// sizes tells of a reaction that depends on how many random bytes came.
func (j *judge) sizes(f Finish) {
	all := silent(j.of(Random, f))
	if f == Open && slices.ContainsFunc(j.verdict.Tells, func(t Finding) bool { return t.Kind == "at-once" }) {
		all = withBytes(all) // none has been told of
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
		j.tell("size", "random bytes%s: %s up to %s and %s from %d: how much the server reads first shows", f.after(),
			brief(j.cfg, j.base, all[at-1]), countOf(all[at-1].Size, "byte"), brief(j.cfg, j.base, all[at]), all[at].Size)
	case changes > 0:
		j.tell("size", "random bytes%s: not alike: %s", f.after(), j.tally(all))
	}
}

// tally counts the classes of records.
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

// named lists what distinguishes records, if anything does.
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
