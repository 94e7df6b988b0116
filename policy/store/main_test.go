package store_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/policy/store"
	"github.com/umbra-proxy/umbra/policy/store/storetest"
	"github.com/umbra-proxy/umbra/test/peer"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(asWriter); path != "" {
		writeForever(path)
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what should happen at once; tests that pass don't wait for it.
const patience = 20 * time.Second

// await waits for what another goroutine or process does.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s did not come in %s", what, patience)
		}
	}
}

// logText is a log in memory.
type logText struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func newLog() (*slog.Logger, *logText) {
	l := new(logText)
	return slog.New(slog.NewTextHandler(l, nil)), l
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running runs f until stop is called or the test ends.
func running(t testing.TB, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// openFile opens the store in a file.
func openFile(t testing.TB, path string) (*store.File, *logText) {
	t.Helper()
	log, text := newLog()
	f, err := store.OpenFile(path, log)
	if err != nil {
		t.Fatal(err)
	}
	return f, text
}

// startRedis runs a server on a port that keeps nothing over its end.
func startRedis(t testing.TB, port int, more ...string) *peer.Process {
	t.Helper()
	args := append([]string{"--port", strconv.Itoa(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"}, more...)
	p := peer.Start(t, nil, peer.Need(t, "redis-server"), args...)
	p.WaitListen(t, port)
	return p
}

// openRedis returns a handle of the server at an address.
func openRedis(t testing.TB, address string) *store.Redis {
	t.Helper()
	r, err := store.OpenRedis(address, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestFileConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (here, there store.Store) {
		f, text := openFile(t, filepath.Join(t.TempDir(), "store"))
		running(t, f.Run)
		t.Cleanup(func() {
			if text.String() != "" {
				t.Errorf("got the log %s", text)
			}
		})
		return f, f
	})
}

func TestRedisConforms(t *testing.T) {
	port := peer.FreePort(t)
	startRedis(t, port)
	db := 0
	storetest.Run(t, func(t *testing.T) (here, there store.Store) {
		db++ // the next database is empty
		address := "redis://" + peer.Addr(port) + "/" + strconv.Itoa(db)
		return openRedis(t, address), openRedis(t, address)
	})
}
