package top

import (
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/view"
)

// Narrow screens lose the columns that matter least, and never those that name a row.
func TestLayout(t *testing.T) {
	c := view.Connection{ID: 7, Client: "192.0.2.1:4711", User: "alice", Target: "a-very-long-name.of-a-host.example.org:443", Path: []string{"outbound.exit", "outbound.paris"}, Network: "tcp", State: "relaying"}
	rows := []Row{{Name: "7", UpRate: 10, DownRate: 2048, Connection: &c}}
	for _, tc := range []struct {
		width      int
		head, line string
	}{
		{0, "ID  AGE  NET  USER   CLIENT          TARGET                                      PATH                             UP/S    DOWN/S  UP  DOWN  STATE",
			" 7    -  tcp  alice  192.0.2.1:4711  a-very-long-name.of-a-host.example.org:443  outbound.exit > outbound.paris  10B/s  2.0KiB/s  0B    0B  relaying"},
		{80, "ID  USER   CLIENT          TARGET                     UP/S    DOWN/S  UP  DOWN",
			" 7  alice  192.0.2.1:4711  a-very-long-name.of-a-h~  10B/s  2.0KiB/s  0B    0B"},
		{30, "ID  TARGET                     UP/S    DOWN/S", " 7  a-very-long-name.of-a-h~  10B/s  2.0KiB/s"},
	} {
		lines := layout(ByConnection, time.Time{}, rows, tc.width)
		if lines[0] != tc.head || lines[1] != tc.line {
			t.Errorf("width %d: got\n%s\nwant\n%s\n%s", tc.width, strings.Join(lines, "\n"), tc.head, tc.line)
		}
	}
}

// A process that was started again has counters that begin anew: there is no rate of what it
// never did.
func TestRowsOfAnotherProcess(t *testing.T) {
	now := time.Now()
	sample := func(at time.Time, by Group, up int64, names ...string) *Sample {
		s := &Sample{Time: at, By: by}
		for _, name := range names {
			s.Users = append(s.Users, view.User{Name: name, Up: up})
		}
		return s
	}
	rows := Rows(sample(now, ByUser, 1000, "alice"), sample(now.Add(2*time.Second), ByUser, 10, "alice", "bob"))
	if rows[0].UpRate >= 0 || rows[1].UpRate != 5 {
		t.Errorf("got %v and %v, want none and 5", rows[0].UpRate, rows[1].UpRate)
	}
	if rows := Rows(sample(now, ByPipeline, 0), sample(now.Add(time.Second), ByUser, 10, "alice")); rows[0].UpRate >= 0 {
		t.Errorf("after another group: got %v", rows[0].UpRate)
	}
	if rows := Rows(nil, sample(now, ByUser, 10, "alice")); rows[0].UpRate >= 0 {
		t.Errorf("of one sample: got %v", rows[0].UpRate)
	}
}

func TestAgeText(t *testing.T) {
	now := time.Now()
	for age, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Hour - 1: "59m", 47 * time.Hour: "47h", 72 * time.Hour: "3d",
	} {
		if got := ageText(now, now.Add(-age)); got != want {
			t.Errorf("%s: got %s, want %s", age, got, want)
		}
	}
}
