package limit

import (
	"testing"
	"time"
)

func TestPeriodOf(t *testing.T) {
	for _, tc := range []struct {
		now         string
		day         int
		begins, end string
	}{
		{"2026-11-25T16:00:00Z", 1, "2026-11-01", "2026-12-01"},
		{"2026-11-01T00:00:00Z", 1, "2026-11-01", "2026-12-01"},
		{"2026-10-31T23:59:59Z", 1, "2026-10-01", "2026-11-01"},
		{"2026-12-31T23:59:59Z", 1, "2026-12-01", "2027-01-01"},
		{"2026-11-25T16:00:00Z", 25, "2026-11-25", "2026-12-25"},
		{"2026-11-24T23:59:59Z", 25, "2026-10-25", "2026-11-25"},
		{"2027-01-05T00:00:00Z", 10, "2026-12-10", "2027-01-10"},
		{"2026-02-27T12:00:00Z", 31, "2026-01-31", "2026-02-28"},
		{"2026-02-28T00:00:00Z", 31, "2026-02-28", "2026-03-31"},
		{"2028-02-28T12:00:00Z", 31, "2028-01-31", "2028-02-29"},
		{"2026-04-30T00:00:00Z", 31, "2026-04-30", "2026-05-31"},
		{"2026-05-30T23:00:00Z", 31, "2026-04-30", "2026-05-31"},
		{"2026-03-29T02:30:00+02:00", 29, "2026-03-29", "2026-04-29"}, // a clock is set forward there, not here
		{"2026-11-01T00:30:00+01:00", 1, "2026-10-01", "2026-11-01"},
	} {
		now, err := time.Parse(time.RFC3339, tc.now)
		if err != nil {
			t.Fatal(err)
		}
		begins, end := periodOf(now, tc.day)
		if begins.Format(time.DateOnly) != tc.begins || end.Format(time.DateOnly) != tc.end {
			t.Errorf("%s, day %d: got %s to %s, want %s to %s", tc.now, tc.day, begins, end, tc.begins, tc.end)
		}
	}
}

// TestPeriodsJoin walks years by the hour: each instant is in its period, and the
// periods follow one another without a gap.
func TestPeriodsJoin(t *testing.T) {
	for day := 1; day <= 31; day++ {
		now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		begins, end := periodOf(now, day)
		for ; now.Year() < 2029; now = now.Add(time.Hour) {
			b, e := periodOf(now, day)
			if now.Before(b) || !now.Before(e) || !e.After(b) {
				t.Fatalf("day %d: %s is not in %s to %s", day, now, b, e)
			}
			if !b.Equal(begins) {
				if !b.Equal(end) {
					t.Fatalf("day %d: after the end %s comes %s", day, end, b)
				}
				begins, end = b, e
			}
		}
	}
}
