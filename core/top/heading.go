package top

import (
	"fmt"
	"path/filepath"
	"time"
)

// heading returns two lines about the whole process, with the rates since an earlier sample,
// which may be nil.
func heading(before, now *Sample) []string {
	st, snap := now.Status, now.Snapshot
	ready := "ready"
	if !snap.Ready {
		ready = "NOT READY: " + snap.Reason
	}
	var streams, associations, handshakes int
	for _, p := range snap.Pipelines {
		streams, associations, handshakes = streams+p.Streams, associations+p.UDP, handshakes+p.Handshakes
	}
	up, down := rates(before, now)
	return []string{
		printable(fmt.Sprintf("umbra %s  %s  pid %d  up %s  generation %d  %s", st.Version, filepath.Base(st.File), st.PID,
			ageText(snap.Time, st.Started), snap.Generation, ready)),
		fmt.Sprintf("streams %d  associations %d  handshakes %d  up %s  down %s", streams, associations, handshakes, up, down),
	}
}

// rates returns what all pipelines move.
func rates(before, now *Sample) (up, down string) {
	if before == nil || !before.Time.Before(now.Time) {
		return rateText(-1), rateText(-1)
	}
	a, b := Sample{Time: before.Time, By: ByPipeline, Snapshot: before.Snapshot}, Sample{Time: now.Time, By: ByPipeline, Snapshot: now.Snapshot}
	all := Row{}
	for _, r := range Rows(&a, &b) {
		all.UpRate += max(r.UpRate, 0)
		all.DownRate += max(r.DownRate, 0)
	}
	return rateText(all.UpRate), rateText(all.DownRate)
}

// Text returns rows for people: the heading and the list.
func Text(before, now *Sample, rows []Row) []string {
	return append(append(heading(before, now), ""), layout(now.By, timeOf(now), rows, 0)...)
}

// timeOf returns the process's own time, to which its other times fit.
func timeOf(s *Sample) time.Time { return s.Snapshot.Time }
