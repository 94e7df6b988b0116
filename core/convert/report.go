package convert

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Fate is what became of a key of another program's file.
type Fate string

// The fates of keys.
const (
	Kept    Fate = "kept"    // says the same here
	Changed Fate = "changed" // says something else here; the note says what
	Dropped Fate = "dropped" // says nothing here; the note says why
)

// Note is a line of a report.
type Note struct {
	Key  string `json:"key"` // such as "servers[2].plugin_opts"
	Fate Fate   `json:"fate"`
	Text string `json:"text,omitempty"` // where it went, or why it did not
}

// Report tells of each key of a file what became of it, in the order of the file where the
// format has one. The zero Report is empty and ready.
type Report struct{ Notes []Note }

// Keep notes that a key says the same here, as what.
func (r *Report) Keep(key, format string, args ...any) { r.note(key, Kept, format, args) }

// Change notes that a key says something else here.
func (r *Report) Change(key, format string, args ...any) { r.note(key, Changed, format, args) }

// Drop notes that a key says nothing here, and why.
func (r *Report) Drop(key, format string, args ...any) { r.note(key, Dropped, format, args) }

func (r *Report) note(key string, f Fate, format string, args []any) {
	r.Notes = append(r.Notes, Note{key, f, fmt.Sprintf(format, args...)})
}

// WriteTo writes the report, a line a key.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, n := range r.Notes {
		fmt.Fprintf(t, "%s\t%s\t%s\n", n.Key, n.Fate, n.Text)
	}
	return 0, t.Flush()
}
