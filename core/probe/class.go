package probe

import (
	"cmp"
	"slices"
	"time"
)

// class is what an observer can distinguish without measuring time.
type class struct {
	end    End
	atOnce bool // the bytes caused the end, not a timer
	data   bool // the server sent something
}

// bases holds, for each finish, the median time after which the server's timer
// ends a connection that sent random bytes; 0 if no timer was seen.
type bases map[Finish]time.Duration

// baseOf computes the bases of records.
func baseOf(cfg Config, records []Record) bases {
	times := map[Finish][]time.Duration{}
	for _, r := range records {
		if r.Family == Random && r.usable() && r.timed(cfg, nil) && r.Data == 0 {
			times[r.Finish] = append(times[r.Finish], r.After)
		}
	}
	base := bases{}
	for f, all := range times {
		base[f] = median(all)
	}
	return base
}

// median sorts times and returns the middle element, or 0 if times is empty.
func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// usable reports whether r contains evidence about the server's behaviour.
func (r Record) usable() bool { return r.End.judged() && !r.Unsure && !r.Family.packets() }

// ended reports whether the server ended the connection.
func (r Record) ended() bool { return r.End == EndFIN || r.End == EndRST }

// timed reports whether a timer of the server ended the connection.
func (r Record) timed(cfg Config, base bases) bool {
	if !r.ended() {
		return false
	}
	if at := base[r.Finish]; at > 0 && near(cfg, r.After, at) {
		return true
	}
	return r.Quiet > cfg.atOnce()+r.Connect
}

// classOf returns the class of a record.
func classOf(cfg Config, base bases, r Record) class {
	return class{end: r.End, atOnce: r.ended() && !r.timed(cfg, base), data: r.Data > 0}
}

// off reports whether a timer ended the connection at another time than it ends
// those of random bytes. The timer may count from the last byte.
func off(cfg Config, base bases, r Record) bool {
	at := base[r.Finish]
	return at > 0 && r.timed(cfg, base) && !near(cfg, r.After, at) && !near(cfg, r.Quiet, at)
}

// near reports whether two times count as the same.
func near(cfg Config, a, b time.Duration) bool { return (a - b).Abs() <= cfg.tolerance() }

// alike reports whether an observer sees the same in two records.
func alike(cfg Config, base bases, a, b Record) bool {
	return classOf(cfg, base, a) == classOf(cfg, base, b) && off(cfg, base, a) == off(cfg, base, b)
}

// oddOnes returns the indexes of the records that differ from the most common
// reaction to their finish.
func oddOnes(cfg Config, records []Record) []int {
	base := baseOf(cfg, records)
	common := map[Finish]Record{}
	most := map[Finish]int{}
	for _, r := range records {
		if !r.usable() {
			continue
		}
		n := 0
		for _, other := range records {
			if other.usable() && other.Finish == r.Finish && alike(cfg, base, r, other) {
				n++
			}
		}
		if n > most[r.Finish] {
			common[r.Finish], most[r.Finish] = r, n
		}
	}
	var odd []int
	for i, r := range records {
		if r.usable() && !alike(cfg, base, r, common[r.Finish]) {
			odd = append(odd, i)
		}
	}
	return odd
}

// byAfter orders records by the time at which they ended.
func byAfter(a, b Record) int { return cmp.Compare(a.After, b.After) }

// clusters groups records of one class by the time at which they ended, the
// earliest group first. If there are many groups, it returns one with all records.
func clusters(cfg Config, records []Record) [][]Record {
	const most = 3
	records = slices.Clone(records)
	slices.SortStableFunc(records, byAfter)
	var all [][]Record
	for i, r := range records {
		if i == 0 || r.After-records[i-1].After > cfg.tolerance() {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], r)
	}
	if len(all) > most {
		return [][]Record{records}
	}
	return all
}
