package dns

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// TestLog checks the lines of lookups, and that a warning that no server answers comes
// once in half a minute.
func TestLog(t *testing.T) {
	w := &fakeWire{answer: says(60, "192.0.2.7")}
	bubble(t, nil, []*fakeWire{w}, func(t *testing.T, r *Resolver) {
		var log bytes.Buffer
		r.log = newLog(&log)
		finds(t, r, "a.test", "192.0.2.7", 0)
		for _, text := range []string{"level=DEBUG", "msg=lookup", "target=a.test", "took=", "192.0.2.7"} {
			if !strings.Contains(log.String(), text) {
				t.Errorf("got the log %s, want %s in it", &log, text)
			}
		}
		w.becomes(breaks, 0)
		lacks(t, r, "broken.test", 0)
		if strings.Contains(log.String(), "WARN") {
			t.Errorf("a server failure: got the log %s, want no warning", &log)
		}
		w.becomes(fails, 0)
		for _, tc := range []struct {
			name string
			want int
		}{{"c.test", 1}, {"d.test", 1}} {
			lacks(t, r, tc.name, 0)
			if got := strings.Count(log.String(), "no name server answers"); got != tc.want {
				t.Errorf("%s: got %d warnings, want %d", tc.name, got, tc.want)
			}
		}
		time.Sleep(warnEvery)
		lacks(t, r, "e.test", 0)
		if got := strings.Count(log.String(), "no name server answers"); got != 2 {
			t.Errorf("half a minute later: got %d warnings, want 2", got)
		}
	})
}
