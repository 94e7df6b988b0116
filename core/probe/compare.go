package probe

import (
	"fmt"
	"slices"
	"strings"
)

// deadline adds a finding if the server's timer is not the same for all random bytes.
func (j *judge) deadline(f Finish) {
	var all []Record
	for _, r := range silent(j.of(Random, f)) {
		if r.timed(j.cfg, j.base) {
			all = append(all, r)
		}
	}
	if len(all) < 2 {
		return
	}
	early := slices.MinFunc(all, byAfter)
	late := slices.MaxFunc(all, byAfter)
	spread := late.After - early.After
	if spread <= j.cfg.tolerance() {
		return
	}
	if groups := clusters(j.cfg, all); len(groups) == 2 {
		small, large := sizesOf(groups[0]), sizesOf(groups[1])
		at := [2]string{seconds(groups[0][0].After), seconds(groups[1][0].After)}
		if small[0] > large[0] {
			small, large = large, small
			at[0], at[1] = at[1], at[0]
		}
		if small[len(small)-1] < large[0] {
			j.finding("deadline", "random bytes%s: ended after %s up to %s and after %s from %d: the size of the server's first read is visible",
				f.after(), at[0], countOf(small[len(small)-1], "byte"), at[1], large[0])
			return
		}
	}
	j.finding("deadline", "random bytes%s: the deadline differs from connection to connection by %s (%s for %s, %s for %s)",
		f.after(), seconds(spread), seconds(early.After), countOf(early.Size, "byte"), seconds(late.After), countOf(late.Size, "byte"))
}

// compare adds a finding if the reaction to a family differs from that to random bytes.
func (j *judge) compare(family Family, f Finish) {
	random := silent(j.of(Random, f))
	var different []Record
	var like Record
	all := silent(j.of(family, f))
	steady := !slices.ContainsFunc(j.verdict.Findings, func(t Finding) bool { return t.Kind == "deadline" })
	for _, r := range all {
		size := r.Size
		if family == Slow {
			size = r.Sent // the server may have ended the connection early
		}
		b, ok := baseline(random, size)
		if !ok {
			return
		}
		same := classOf(j.cfg, j.base, r) == classOf(j.cfg, j.base, b)
		if same && steady {
			same = !off(j.cfg, j.base, r)
		}
		if !same {
			different, like = append(different, r), b
		}
	}
	if len(different) == 0 {
		return
	}
	worst := different[len(different)-1]
	part := ""
	if len(different) < len(all) {
		part = fmt.Sprintf(", %d of %d times", len(different), len(all))
	}
	j.finding("differs", "reaction to %s%s differs from that to random bytes%s: %s, not %s%s", family.plural(), f.after(), part,
		brief(j.cfg, j.base, worst), brief(j.cfg, j.base, like), named(different))
}

// baseline returns the largest record of random whose size is at most size. If all
// are larger, it returns the smallest.
func baseline(random []Record, size int) (Record, bool) {
	if len(random) == 0 {
		return Record{}, false
	}
	best := random[0]
	for _, r := range random {
		if r.Size <= size {
			best = r
		}
	}
	return best, true
}

// packets adds a finding for each family of datagrams that was answered.
func (j *judge) packets(res *Result) {
	sent, refused := 0, 0
	got := map[Family][]Record{}
	for _, r := range res.Records {
		if !r.Family.packets() {
			continue
		}
		if sent++; r.End == EndNever {
			refused++
		}
		if r.Data > 0 {
			got[r.Family] = append(got[r.Family], r)
		}
	}
	for _, family := range families() {
		switch some := got[family]; {
		case len(some) == 0:
		case family == DgReplay:
			j.finding("data", "a replayed datagram was answered with %s: the server accepts replays over UDP", countOf(some[0].Data, "byte"))
		default:
			j.finding("data", "the server answered %s%s", family.plural(), named(some))
		}
	}
	switch {
	case refused > 0:
		j.note("UDP: %d of %d datagrams were refused; perhaps no server listens there", refused, sent)
	case sent > 0 && res.Config.Key == nil:
		j.note("UDP: without a key, no answer can also mean that no server listens there")
	}
	if res.Packets != "" {
		j.note("UDP: no replay was sent: %s", res.Packets)
	}
}

// salt adds a finding if an attacker on the path can invalidate a request by
// sending its salt first.
func (j *judge) salt(res *Result) {
	if res.Salt == saltRefused {
		j.finding("salt", "a valid request was refused because its first %d bytes had arrived before, followed by garbage: "+
			"an attacker on the path can lock users out", prefixSize)
	}
}

// notes adds what is not a finding, and what could not be observed.
func (j *judge) notes(res *Result) {
	random, kept := 0, 0
	for _, r := range j.of(Random, Open) {
		if random++; r.End == EndOpen {
			kept++
		}
	}
	if random > 0 && kept == random {
		j.note("the server ended no connection within %s: whether it has a deadline is unknown", seconds(res.Config.Wait))
	}
	j.countFrom()
	unsure := 0
	for _, r := range res.Records {
		if r.Unsure {
			unsure++
		}
	}
	if unsure > 0 {
		j.note("%s had a different reaction that a repetition did not confirm; attributed to the network", countOf(unsure, "probe"))
	}
	if res.Closing != "" {
		j.note("after the probes, %s; the server may ban addresses that probe it", res.Closing)
	}
	if res.Config.Quick {
		j.note("quick run: fewer lengths, no flood, and no observation beyond %s", seconds(res.Config.Wait))
	}
	if res.Config.Key == nil {
		j.note("without a key: replays and damaged requests are untested, and so is whether this is a Shadowsocks server")
	}
}

// countFrom adds a note if the timer counts from the last byte.
func (j *judge) countFrom() {
	at, some := j.base[Open], append(j.of(Slow, Open), j.of(Late, Open)...)
	for _, r := range some {
		if at == 0 || !r.timed(j.cfg, j.base) || near(j.cfg, r.After, at) || !near(j.cfg, r.Quiet, at) {
			return
		}
	}
	if len(some) > 0 {
		j.note("the deadline counts from the last byte")
	}
}

// decide sets Undecided if the records do not suffice for a verdict.
func (j *judge) decide(res *Result) {
	failed := map[string]int{}
	lost, probes := 0, 0
	for _, r := range res.Records {
		if r.Family.packets() {
			continue
		}
		if probes++; !r.End.judged() {
			lost++
			failed[string(r.End)+", "+r.Err]++
		}
	}
	var why []string
	for text, n := range failed {
		why = append(why, fmt.Sprintf("%d %s", n, text))
	}
	slices.Sort(why)
	switch {
	case res.Barred:
		j.verdict.Undecided = fmt.Sprintf("connections failed one after another (%s): the server is gone, or has banned this address", strings.Join(why, "; "))
	case lost > max(2, probes/10):
		j.verdict.Undecided = fmt.Sprintf("%d of %d connections failed (%s): the network or the server is unstable", lost, probes, strings.Join(why, "; "))
	case res.Stopped:
		j.verdict.Undecided = fmt.Sprintf("stopped after %d of %d probes", len(res.Records), res.Planned)
	case lost > 0:
		j.note("%d of %d connections failed and are left out (%s)", lost, probes, strings.Join(why, "; "))
	}
}
