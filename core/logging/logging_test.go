package logging

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a sink that waits for each line, and fails while err is set.
type gate struct {
	pass     chan struct{} // closed: no line waits
	got      []string
	err      error
	reopened int
	closed   bool
}

func (g *gate) WriteLine(_ slog.Level, line []byte) error {
	<-g.pass
	if g.err != nil {
		return g.err
	}
	g.got = append(g.got, string(line))
	return nil
}

func (g *gate) Reopen() error {
	g.reopened++
	return g.err
}

func (g *gate) Close() error {
	g.closed = true
	return nil
}

func report(lines int, cause error) (slog.Level, []byte) {
	return slog.LevelWarn, fmt.Appendf(nil, "%d missing: %v\n", lines, cause)
}

// TestQueue stalls the sink: no writer waits, what doesn't fit is counted, and the count
// follows what fits.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &gate{pass: make(chan struct{})}
		q := NewQueue(sink, 16, report)
		line := append(bytes.Repeat([]byte{'x'}, lineSize-1), '\n')
		for range 20 {
			q.WriteLine(slog.LevelInfo, line)
			synctest.Wait() // lines that the writer has taken count too
		}
		close(sink.pass)
		synctest.Wait()
		if got := len(sink.got); got != 17 {
			t.Fatalf("got %d lines, want 16 and the report", got)
		}
		if got, want := sink.got[16], "4 missing: <nil>\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		q.WriteLine(slog.LevelInfo, []byte("more\n"))
		if !q.Close(time.Second) {
			t.Error("the queue did not end")
		}
		if got := sink.got[len(sink.got)-1]; got != "more\n" || !sink.closed {
			t.Errorf("got the last line %q and closed %t", got, sink.closed)
		}
	})
}

// TestQueueEnd ends a queue whose sink is stuck: Close waits for the given time alone.
func TestQueueEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &gate{pass: make(chan struct{})}
		q := NewQueue(sink, 16, report)
		q.WriteLine(slog.LevelInfo, []byte("a\n"))
		began := time.Now()
		if q.Close(2 * time.Second) {
			t.Error("Close says that all lines were written")
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("Close took %s, want 2s", took)
		}
		close(sink.pass)
	})
}

// TestQueueFails has the sink fail for a while: the lines of that time are counted, with
// the cause.
func TestQueueFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &gate{pass: make(chan struct{}), err: errors.New("disk full")}
		close(sink.pass)
		q := NewQueue(sink, 16, report)
		defer q.Close(time.Second)
		for range 3 {
			q.WriteLine(slog.LevelInfo, []byte("a\n"))
			synctest.Wait()
		}
		sink.err = nil
		q.WriteLine(slog.LevelInfo, []byte("b\n"))
		synctest.Wait()
		if got, want := strings.Join(sink.got, ""), "b\n3 missing: disk full\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestQueueUse replaces the sink: lines before go to the old one, lines after to the new.
func TestQueueUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := &gate{pass: make(chan struct{})}, &gate{pass: make(chan struct{})}
		close(next.pass)
		q := NewQueue(old, 16, report)
		q.WriteLine(slog.LevelInfo, []byte("a\n"))
		synctest.Wait()
		q.WriteLine(slog.LevelInfo, []byte("b\n"))
		q.Reopen()
		q.Use(next)
		close(old.pass)
		synctest.Wait()
		q.WriteLine(slog.LevelInfo, []byte("c\n"))
		q.Close(time.Second)
		if got := strings.Join(old.got, "") + "|" + strings.Join(next.got, ""); got != "a\nb\n|c\n" {
			t.Errorf("got %q", got)
		}
		if !old.closed || !next.closed || old.reopened != 1 {
			t.Errorf("closed %t and %t, reopened %d times", old.closed, next.closed, old.reopened)
		}
	})
}

// TestFile renames the file of a log, as a rotation does, and removes it.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "umbra.log")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { f.Close() }()
	put := func(line string) {
		t.Helper()
		f.checked = time.Time{} // as a second later
		if err := f.WriteLine(slog.LevelInfo, []byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	put("a\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	put("b\n")
	want := map[string]string{path: "b\n", path + ".1": "a\n"}
	for name, text := range want {
		if got, err := os.ReadFile(name); string(got) != text {
			t.Errorf("%s has %q and %v, want %q", name, got, err, text)
		}
	}
	if err := os.Truncate(path, 0); err != nil { // logrotate's copytruncate
		t.Fatal(err)
	}
	put("c\n")
	if got, _ := os.ReadFile(path); string(got) != "c\n" {
		t.Errorf("after a truncation got %q", got)
	}
}

func TestJournal(t *testing.T) {
	var b bytes.Buffer
	s := NewJournal(&b)
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if err := s.WriteLine(level, []byte("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := b.String(), "<7>x\n<6>x\n<4>x\n<3>x\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIsJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := inode(f)
	if at == "" {
		t.Skip("this system has no JOURNAL_STREAM")
	}
	for _, tc := range []struct {
		name, stream string
		want         bool
	}{{"this stream", at, true}, {"another stream", "1:1", false}, {"none", "", false}} {
		t.Setenv("JOURNAL_STREAM", tc.stream)
		if got := IsJournal(f); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.name, got, tc.want)
		}
	}
}
