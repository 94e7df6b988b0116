package limit

import "time"

// periodOf returns the quota period that contains now: from the reset day of a month
// to the reset day of the next month, in UTC. In a month without that day the last
// day is used.
func periodOf(now time.Time, day int) (start, end time.Time) {
	year, month, _ := now.UTC().Date()
	start = resetOf(year, month, day)
	if now.Before(start) {
		return resetOf(year, month-1, day), start
	}
	return start, resetOf(year, month+1, day)
}

// resetOf returns the beginning of a month's period. month may be out of range.
func resetOf(year int, month time.Month, day int) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(year, month, min(day, last), 0, 0, 0, 0, time.UTC)
}
