package limit

import "time"

// periodOf returns the period of a quota that now is in: from the reset day of a month
// to that of the next, in UTC. In a month that is too short the last day counts.
func periodOf(now time.Time, day int) (start, end time.Time) {
	year, month, _ := now.UTC().Date()
	start = resetOf(year, month, day)
	if now.Before(start) {
		return resetOf(year, month-1, day), start
	}
	return start, resetOf(year, month+1, day)
}

// resetOf returns when a month's period begins. month may be out of range.
func resetOf(year int, month time.Month, day int) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(year, month, min(day, last), 0, 0, 0, 0, time.UTC)
}
