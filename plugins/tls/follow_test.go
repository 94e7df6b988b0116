package tls

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time // guarded by mu
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// watched is a server whose files and time a test changes.
type watched struct {
	t     *testing.T
	tr    *Transport
	clock *clock
	log   *bytes.Buffer
}

func watch(t *testing.T, o Options) *watched {
	t.Helper()
	w := &watched{t: t, clock: &clock{at: time.Now()}, log: &bytes.Buffer{}}
	tr, err := newTransport(new(follow.Files), "test", slog.New(slog.NewTextHandler(w.log, nil)), o, w.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	w.tr = tr
	return w
}

// serves checks which certificate a handshake gets, step after the last one.
func (w *watched) serves(step time.Duration, want *x509.Certificate) {
	w.t.Helper()
	w.clock.add(step)
	if got := w.tr.material.Get().server.Certificates[0].Leaf; !got.Equal(want) {
		w.t.Errorf("got certificate %v, want %v", got.SerialNumber, want.SerialNumber)
	}
}

// logged checks how many lines of each level there have been.
func (w *watched) logged(warnings, infos int) {
	w.t.Helper()
	text := w.log.String()
	if got := strings.Count(text, "level=WARN"); got != warnings {
		w.t.Errorf("got %d warnings, want %d:\n%s", got, warnings, text)
	}
	if got := strings.Count(text, "level=INFO"); got != infos {
		w.t.Errorf("got %d infos, want %d:\n%s", got, infos, text)
	}
}

// put gives file a text and a time of change of its own, as a clock with coarse
// ticks might not.
func put(t *testing.T, file, text string, changed time.Time) {
	t.Helper()
	writeFile(t, file, text)
	if err := os.Chtimes(file, changed, changed); err != nil {
		t.Fatal(err)
	}
}

func TestFilesChange(t *testing.T) {
	ca := newAuthority(t)
	id, next := ca.issue(t, "example.test"), ca.issue(t, "example.test")
	w := watch(t, Options{Cert: id.file, Key: id.key})
	later := time.Now().Add(time.Minute)
	put(t, id.file, readText(t, next.file), later)
	put(t, id.key, readText(t, next.key), later)

	w.serves(checkEvery/2, id.cert) // too early to look
	w.logged(0, 0)
	w.serves(checkEvery/2, next.cert)
	w.serves(checkEvery, next.cert)
	w.logged(0, 1)
}

func TestFilesRenamed(t *testing.T) {
	ca := newAuthority(t)
	id, next := ca.issue(t, "example.test"), ca.issue(t, "example.test")
	info, err := os.Stat(id.file)
	if err != nil {
		t.Fatal(err)
	}
	// The new files have the size and the time of the old ones.
	w := watch(t, Options{Cert: id.file, Key: id.key})
	for _, f := range []struct{ from, to string }{{next.file, id.file}, {next.key, id.key}} {
		if err := os.Chtimes(f.from, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(f.from, f.to); err != nil {
			t.Fatal(err)
		}
	}
	w.serves(checkEvery, next.cert)
	w.logged(0, 1)
}

func TestFilesBad(t *testing.T) {
	ca := newAuthority(t)
	id, next := ca.issue(t, "example.test"), ca.issue(t, "example.test")
	later := time.Now().Add(time.Minute)
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, dir identity)
	}{
		{"garbage", func(t *testing.T, dir identity) { put(t, dir.file, "garbage", later) }},
		{"empty", func(t *testing.T, dir identity) { put(t, dir.key, "", later) }},
		{"removed", func(t *testing.T, dir identity) {
			if err := os.Remove(dir.file); err != nil {
				t.Fatal(err)
			}
		}},
		{"certificate without its key", func(t *testing.T, dir identity) { put(t, dir.file, readText(t, next.file), later) }},
		{"half a certificate", func(t *testing.T, dir identity) {
			text := readText(t, next.file)
			put(t, dir.file, text[:len(text)/2], later)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := identityIn(t.TempDir())
			writeFile(t, dir.file, readText(t, id.file))
			writeFile(t, dir.key, readText(t, id.key))
			w := watch(t, Options{Cert: dir.file, Key: dir.key})
			tc.spoil(t, dir)
			for range 5 {
				w.serves(checkEvery, id.cert)
				w.serves(0, id.cert)
			}
			w.logged(1, 0)

			// The other half of the change comes.
			even := later.Add(time.Minute)
			put(t, dir.file, readText(t, next.file), even)
			put(t, dir.key, readText(t, next.key), even)
			w.serves(checkEvery, next.cert)
			w.logged(1, 1)

			// And a second bad change is worth a second warning.
			put(t, dir.key, "garbage", even.Add(time.Minute))
			w.serves(checkEvery, next.cert)
			w.logged(2, 1)
		})
	}
}

// A change is seen even if a stat shows none: the second file may have been written
// within one tick of the file system's clock.
func TestFilesSameTime(t *testing.T) {
	ca := newAuthority(t)
	id, next := ca.issue(t, "example.test"), ca.issue(t, "example.test")
	w := watch(t, Options{Cert: id.file, Key: id.key})
	later := time.Now().Add(time.Minute)
	put(t, id.file, readText(t, next.file), later)
	key := readText(t, next.key)
	put(t, id.key, strings.Repeat("\n", len(key)), later)
	w.serves(checkEvery, id.cert)
	put(t, id.key, key, later)
	w.serves(checkEvery, next.cert)
	w.logged(1, 1)
}

func TestFilesOfCAs(t *testing.T) {
	old, renewed := newAuthority(t), newAuthority(t)
	id, client := renewed.issue(t, "example.test"), renewed.issue(t, "client")
	dir := t.TempDir()
	clientCA, ca := filepath.Join(dir, "clients.pem"), filepath.Join(dir, "ca.pem")
	writeFile(t, clientCA, readText(t, old.file))
	writeFile(t, ca, readText(t, old.file))
	server := watch(t, Options{Cert: id.file, Key: id.key, ClientCA: clientCA})
	dial := watch(t, Options{Cert: client.file, Key: client.key, CA: ca})
	if e := shake(t, server.tr, dial.tr, "example.test"); e.serverErr == nil || e.clientErr == nil {
		t.Fatalf("old CAs: got server %v, client %v, want errors", e.serverErr, e.clientErr)
	}
	put(t, clientCA, readText(t, renewed.file), time.Now().Add(time.Minute))
	put(t, ca, readText(t, renewed.file), time.Now().Add(time.Minute))
	server.clock.add(checkEvery)
	dial.clock.add(checkEvery)
	if e := shake(t, server.tr, dial.tr, "example.test"); e.serverErr != nil || e.clientErr != nil {
		t.Errorf("new CAs: got server %v, client %v", e.serverErr, e.clientErr)
	}
}

// A session begun under the old client_ca is not resumed under the new one.
func TestReloadEndsOldSessions(t *testing.T) {
	old, renewed := newAuthority(t), newAuthority(t)
	id, client := old.issue(t, "example.test"), old.issue(t, "client")
	clients := filepath.Join(t.TempDir(), "clients.pem")
	writeFile(t, clients, readText(t, old.file))
	server := watch(t, Options{Cert: id.file, Key: id.key, ClientCA: clients})
	dial := newPlain(t, Options{Cert: client.file, Key: client.key, CA: old.file})
	e := shake(t, server.tr, dial, "example.test")
	if e.serverErr != nil || e.clientErr != nil {
		t.Fatalf("got server %v, client %v", e.serverErr, e.clientErr)
	}
	exchange(t, e.client, e.server)
	put(t, clients, readText(t, renewed.file), time.Now().Add(time.Minute))
	server.clock.add(checkEvery)
	if e := shake(t, server.tr, dial, "example.test"); e.serverErr == nil {
		t.Error("a client of the old CA got in by its session")
	}
}

func TestFilesNone(t *testing.T) {
	w := watch(t, Options{})
	before := w.tr.material.Get()
	w.clock.add(time.Hour)
	if w.tr.material.Get() != before {
		t.Error("got new material")
	}
	w.logged(0, 0)
}

// Handshakes go on while files change; each gets a pair that fits.
func TestFilesConcurrent(t *testing.T) {
	ca := newAuthority(t)
	id := ca.issue(t, "example.test")
	server := watch(t, Options{Cert: id.file, Key: id.key})
	client := newPlain(t, Options{CA: ca.file})
	t.Run("change", func(t *testing.T) {
		t.Parallel()
		for range 100 {
			ca.issueTo(t, &id, template(t, "example.test"))
			server.clock.add(checkEvery)
		}
	})
	for range 4 {
		t.Run("handshakes", func(t *testing.T) {
			t.Parallel()
			for range 20 {
				if e := shake(t, server.tr, client, "example.test"); e.serverErr != nil || e.clientErr != nil {
					t.Errorf("got server %v, client %v", e.serverErr, e.clientErr)
				}
			}
		})
	}
}

// Configurations of one process share the files of a transport with the same name and
// options, and of no other.
func TestShared(t *testing.T) {
	id := selfSigned(t, "example.test")
	env := core.Env{Name: "front", Log: slog.New(slog.DiscardHandler), Process: new(core.Process)}
	open := func(env core.Env, o Options) *follow.Value[*material] {
		t.Helper()
		tr, err := New(env, o)
		if err != nil {
			t.Fatal(err)
		}
		return tr.(*Transport).material
	}
	o := Options{Cert: id.file, Key: id.key}
	first := open(env, o)
	if open(env, o) != first {
		t.Error("a second transport of the name read the files again")
	}
	other := o
	other.ALPN = []string{"h2"}
	if open(env, other) == first {
		t.Error("a transport with other options has the files of the first")
	}
	env.Name = "back"
	if open(env, o) == first {
		t.Error("a transport of another name has the files of the first")
	}
}
