package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/policy/store"
)

var errScript = errors.New("as the script says")

// scripted is a store in memory whose calls fail as its fields say.
type scripted struct {
	*set
	mu    sync.Mutex
	fail  string // the call that fails; guarded by mu, as is the rest
	calls map[string]int
	hang  bool // a call that fails does so when its context ends
	lost  func(error)
}

func newScripted() *scripted { return &scripted{set: newSet(), calls: map[string]int{}} }

// set makes a call fail from now on, and ends a Watch that runs.
func (s *scripted) script(fail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
	if s.lost != nil && fail != "" {
		s.lost(errScript)
	}
}

func (s *scripted) count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

func (s *scripted) call(ctx context.Context, name string) error {
	s.mu.Lock()
	s.calls[name]++
	fails, hang := s.fail == name, s.hang
	s.mu.Unlock()
	switch {
	case !fails:
		return ctx.Err()
	case hang:
		<-ctx.Done()
		return ctx.Err()
	}
	return errScript
}

func (s *scripted) Put(ctx context.Context, e store.Entry) error {
	if err := s.call(ctx, "put"); err != nil {
		return err
	}
	s.Merge(e)
	return nil
}

func (s *scripted) Load(ctx context.Context, _ string, each func(store.Entry)) error {
	if err := s.call(ctx, "load"); err != nil {
		return err
	}
	for e := range s.All() {
		each(e)
	}
	return nil
}

func (s *scripted) Watch(ctx context.Context, _ string, ready func(), _ func(store.Entry)) error {
	if err := s.call(ctx, "watch"); err != nil {
		return err
	}
	ctx, lost := context.WithCancelCause(ctx)
	s.mu.Lock()
	s.lost = lost
	s.mu.Unlock()
	ready()
	<-ctx.Done()
	return context.Cause(ctx)
}

func (*scripted) Claim(context.Context, string, time.Time) (bool, error) { return false, nil }
func (*scripted) Run(ctx context.Context)                                { <-ctx.Done() }
func (*scripted) Close() error                                           { return nil }

// TestMirrorRetries has each call fail for a while: what was changed meanwhile is
// sent, the log says so once, and the calls are no more than the pauses allow.
func TestMirrorRetries(t *testing.T) {
	for _, tc := range []struct {
		call string
		hang bool
	}{{"watch", false}, {"load", false}, {"put", false}, {"watch", true}, {"put", true}} {
		t.Run(fmt.Sprintf("%s, hangs %t", tc.call, tc.hang), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScripted()
				s.hang = tc.hang
				n := newNode(t, s)
				n.put("first", "1")
				synctest.Wait()
				if s.len() != 1 {
					t.Fatalf("got %s, want the first", s.print())
				}
				s.script(tc.call)
				before := s.count("watch")
				for i := range 60 {
					n.put(fmt.Sprint(i), "1")
					time.Sleep(time.Second)
				}
				if tries := s.count("watch") - before; tries < 10 || tries > 61 {
					t.Errorf("got %d tries in a minute, want one a second at most", tries)
				}
				s.script("")
				time.Sleep(10 * time.Second)
				if s.print() != n.print() || s.len() != 61 {
					t.Errorf("got %d entries in the store, want all 61", s.len())
				}
				if text := n.log.String(); strings.Count(text, "is away") != 1 || strings.Count(text, "is back") != 1 {
					t.Errorf("got the log\n%s\nwant away and back once", text)
				}
				n.stop()
			})
		})
	}
}

// TestMirrorIdle has nothing to do for a day: no call but the hourly comparison.
func TestMirrorIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripted()
		n := newNode(t, s)
		time.Sleep(24*time.Hour + time.Minute)
		if s.count("watch") != 1 || s.count("load") != 25 || s.count("put") != 0 {
			t.Errorf("got %v, want 1 watch and 25 loads", s.calls)
		}
		n.stop()
	})
}

// TestMirrorOverflow changes more while the store is away than is queued.
func TestMirrorOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripted()
		s.script("watch")
		n := newNode(t, s)
		const many = 40_000
		for i := range many {
			n.put(fmt.Sprint(i), "1")
		}
		time.Sleep(10 * time.Second)
		s.script("")
		time.Sleep(10 * time.Second)
		if s.len() != many {
			t.Errorf("got %d entries, want %d", s.len(), many)
		}
		loads := s.count("load")
		for i := range many { // and while it is there
			n.put(fmt.Sprint(i), "2")
		}
		time.Sleep(time.Second)
		if s.print() != n.print() || s.count("load") > loads+3 {
			t.Errorf("got other entries than put, or %d comparisons", s.count("load")-loads)
		}
		n.stop()
	})
}

// TestMirrorLast stops while something is not sent yet: it is sent last, even where
// the store had failed.
func TestMirrorLast(t *testing.T) {
	for _, fails := range []string{"", "watch", "put"} {
		t.Run("fails "+fails, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScripted()
				n := newNode(t, s)
				synctest.Wait()
				s.script(fails)
				synctest.Wait()
				n.put("1", "1")
				n.put("2", "1")
				synctest.Wait()
				if fails != "" && s.len() != 0 {
					t.Fatalf("got %s, want nothing yet", s.print())
				}
				s.script("")
				n.stop()
				if s.len() != 2 {
					t.Errorf("got %s, want both", s.print())
				}
			})
		})
	}
	t.Run("file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store")
		for i := range 50 {
			f, _ := openFile(t, path)
			n := newNode(t, f)
			n.put(fmt.Sprint(i), "1")
			n.stop()
		}
		f, _ := openFile(t, path)
		n := newNode(t, f)
		await(t, "what was put last", func() bool { return n.len() == 50 })
	})
}

// TestMirrorTakesOver has the Run of a reloaded file begin before that of the old one
// ends.
func TestMirrorTakesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	f, text := openFile(t, path)
	n := newNode(t, f)
	n.put("1", "1")
	stop := running(t, n.mirror.Run)
	n.put("2", "1")
	n.stop()
	n.put("3", "1")
	stop()
	again, _ := openFile(t, path)
	m := newNode(t, again)
	alike(t, 3, m, n)
	if text.String()+n.log.String() != "" {
		t.Errorf("got the log %s%s", text, n.log)
	}
}

func TestNilMirror(t *testing.T) {
	var m *store.Mirror
	m.Put(store.Entry{})
	m.Run(t.Context())
}

func BenchmarkMirrorPut(b *testing.B) {
	n := newNode(b, newScripted())
	now := time.Now()
	e := store.Entry{Key: "n/key", Value: []byte("value"), Until: now.Add(time.Hour)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.At = now.Add(time.Duration(i))
		n.mirror.Put(e)
	}
}

// BenchmarkMerge has a node learn 100,000 entries, as after its start.
func BenchmarkMerge(b *testing.B) {
	log, _ := newLog()
	f, err := store.OpenFile(filepath.Join(b.TempDir(), "store"), log)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for i := range 100_000 {
		if err := f.Put(b.Context(), store.Entry{Key: fmt.Sprint("n/", i), Value: []byte("value"), At: now, Until: now.Add(time.Hour)}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		s := newSet()
		if err := f.Load(b.Context(), "n/", s.Merge); err != nil || s.len() != 100_000 {
			b.Fatal(err, s.len())
		}
	}
}

func BenchmarkFilePut(b *testing.B) {
	log, _ := newLog()
	f, err := store.OpenFile(filepath.Join(b.TempDir(), "store"), log)
	if err != nil {
		b.Fatal(err)
	}
	running(b, f.Run)
	now := time.Now()
	e := store.Entry{Key: "n/key", Value: []byte("value"), Until: now.Add(time.Hour)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.At = now.Add(time.Duration(i))
		_ = f.Put(b.Context(), e)
	}
}
