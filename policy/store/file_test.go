package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/policy/store"
)

// asWriter makes the test binary a process that puts into the file of that name
// until it is killed.
const asWriter = "UMBRA_TEST_STORE_WRITER"

// writers is how many goroutines put in such a process.
const writers = 4

// numbered is entry n of a writer: its value follows from n, so that one that is
// mixed of two shows.
func numbered(writer, n uint64) store.Entry {
	value := binary.BigEndian.AppendUint64(nil, n)
	value = append(value, bytes.Repeat([]byte{byte(n)}, int(n%700))...)
	at := time.Unix(1_700_000_000, int64(n))
	return store.Entry{Key: fmt.Sprintf("w/%d/%d", writer, n%50), Value: value, At: at, Until: at.AddDate(100, 0, 0)}
}

// writeForever puts numbered entries, and prints what has been put once that is in
// the file.
func writeForever(path string) {
	f, err := store.OpenFile(path, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go f.Run(context.Background())
	from := uint64(0)
	_ = f.Load(context.Background(), "w/", func(e store.Entry) { from = max(from, uint64(e.At.UnixNano())-1_700_000_000e9) })
	for n := from + 1; ; n++ {
		for w := range uint64(writers) {
			_ = f.Put(context.Background(), numbered(w, n))
		}
		if n%50 == 0 { // beyond what has been written a moment later nothing is promised
			waitWritten(path, numbered(writers-1, n))
			fmt.Println(n)
		}
	}
}

// waitWritten waits until a file has the value of an entry.
func waitWritten(path string, e store.Entry) {
	tail := append([]byte(e.Key), e.Value...)
	for {
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, tail) {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// writes keeps what a process writes; began is closed at the first of it.
type writes struct {
	text  bytes.Buffer
	began chan struct{}
}

func (w *writes) Write(b []byte) (int, error) {
	if w.text.Len() == 0 {
		close(w.began)
	}
	return w.text.Write(b)
}

// TestFileKilled kills a process that puts, at random instants: what it has seen in
// the file is there afterwards, or what took its place, and nothing is mixed.
func TestFileKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rounds, least := 60, uint64(0)
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), asWriter+"="+path)
		out := writes{began: make(chan struct{})}
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if round%2 == 1 { // the other rounds may kill it while it reads the file
			<-out.began
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond) // the instant is what is random here
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		for line := range strings.Lines(out.text.String()) {
			var n uint64
			if _, err := fmt.Sscan(line, &n); err != nil || !strings.HasSuffix(line, "\n") {
				continue // cut off
			}
			least = max(least, n)
		}
		f, text := openFile(t, path)
		got := uint64(0)
		if err := f.Load(t.Context(), "", func(e store.Entry) {
			n := uint64(e.At.UnixNano()) - 1_700_000_000e9
			got = max(got, n)
			var w uint64
			if _, err := fmt.Sscanf(e.Key, "w/%d/", &w); err != nil {
				t.Fatalf("round %d: got the key %q", round, e.Key)
			}
			if want := numbered(w, n); e.Key != want.Key || !bytes.Equal(e.Value, want.Value) || !e.Until.Equal(want.Until) {
				t.Errorf("round %d: got %+v, want %+v", round, e, want)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if got < least {
			t.Fatalf("round %d: got entries up to %d, want %d at least", round, got, least)
		}
		if strings.Contains(text.String(), "not ours") {
			t.Fatalf("round %d: got the log %s", round, text)
		}
	}
	if least == 0 {
		t.Error("no process lived long enough to write: the test shows nothing")
	}
	t.Logf("%d kills, %d entries", rounds, least*writers)
}

// TestFileDamaged spoils bytes of a file: entries are as they were or missing, and
// the service starts.
func TestFileDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	f, _ := openFile(t, path)
	stop := running(t, f.Run)
	for n := range uint64(50) {
		if err := f.Put(t.Context(), numbered(1, n)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		bad := bytes.Clone(good[:random.IntN(len(good))+1])
		for range random.IntN(4) {
			bad[random.IntN(len(bad))] ^= byte(1 + random.IntN(255))
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		f, _ := openFile(t, path)
		if err := f.Load(t.Context(), "", func(e store.Entry) {
			n := uint64(e.At.UnixNano()) - 1_700_000_000e9
			if want := numbered(1, n); e.Key != want.Key || !bytes.Equal(e.Value, want.Value) {
				t.Errorf("got %+v, want %+v", e, want)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFileRestart finds after a restart what has not ended meanwhile, and nothing
// that was replaced by something that has.
func TestFileRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store")
		f, _ := openFile(t, path)
		stop := running(t, f.Run)
		synctest.Wait() // the file begins with none of them
		now := time.Now()
		for _, e := range []store.Entry{
			{Key: "lasts", Value: []byte("1"), At: now, Until: now.Add(time.Hour)},
			{Key: "ends", Value: []byte("1"), At: now, Until: now.Add(time.Minute)},
			{Key: "replaced", Value: []byte("1"), At: now, Until: now.Add(time.Hour)},
			{Key: "replaced", Value: []byte("2"), At: now.Add(1), Until: now.Add(time.Minute)},
			{Key: "back", Value: []byte("1"), At: now, Until: now.Add(time.Hour)},
			{Key: "back", At: now.Add(1), Until: now.Add(time.Hour)},
		} {
			if err := f.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if free, err := f.Claim(t.Context(), "claimed", now.Add(time.Hour)); !free || err != nil {
			t.Errorf("got %t, %v, want true", free, err)
		}
		stop()
		time.Sleep(2 * time.Minute)
		f, text := openFile(t, path)
		var got []string
		_ = f.Load(t.Context(), "", func(e store.Entry) { got = append(got, e.Key+"="+string(e.Value)) })
		if len(got) != 3 || !strings.Contains(fmt.Sprint(got), "lasts=1") || !strings.Contains(fmt.Sprint(got), "back=") {
			t.Errorf("got %q, want lasts, back and claimed", got)
		}
		if free, err := f.Claim(t.Context(), "claimed", now.Add(time.Hour)); free || err != nil {
			t.Errorf("a second claim: got %t, %v, want false", free, err)
		}
		if text.String() != "" {
			t.Errorf("got the log %s", text)
		}
	})
}

// TestFileTwice has two processes' stores on one file: the second says so.
func TestFileTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	first, _ := openFile(t, path)
	running(t, first.Run)
	await(t, "the file", func() bool { _, err := os.Stat(path); return err == nil })
	second, text := openFile(t, path)
	running(t, second.Run)
	await(t, "the log", func() bool { return strings.Contains(text.String(), "is in use") })
}

// TestFileBounded puts more than a file's store keeps.
func TestFileBounded(t *testing.T) {
	f, _ := openFile(t, filepath.Join(t.TempDir(), "store"))
	now := time.Now()
	for n := range 1<<18 + 100 {
		e := store.Entry{Key: fmt.Sprint(n), At: now, Until: now.Add(time.Hour)}
		if err := f.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	_ = f.Load(t.Context(), "", func(store.Entry) { n++ })
	if n != 1<<18 {
		t.Errorf("got %d entries, want %d", n, 1<<18)
	}
}
