package view

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core/coretest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// read opens the stream of events.
func read(t testing.TB, at *httptest.Server, query string) (*bufio.Reader, io.Closer) {
	t.Helper()
	resp, err := http.Get(at.URL + "/api/v1/events" + query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %d %v", resp.StatusCode, resp.Header)
	}
	return bufio.NewReader(resp.Body), resp.Body
}

// next returns the next event.
func next(t testing.TB, r *bufio.Reader) (event, data string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "event: "); ok {
			event = rest
		}
		if rest, ok := strings.CutPrefix(line, "data: "); ok {
			return event, rest
		}
	}
}

// Readers get snapshots and journeys, and no name of a user that is not shown.
func TestEvents(t *testing.T) {
	f := &fake{follow: make(chan Journey, 1)}
	at := start(t, f, Options{})
	r, body := read(t, at, "?journeys=1")
	event, data := next(t, r)
	var s Snapshot
	if err := json.Unmarshal([]byte(data), &s); event != "snapshot" || err != nil || s.Generation == 0 {
		t.Fatalf("got %s %s", event, data)
	}
	f.follow <- Journey{Number: 9, User: "alice"}
	for event != "journey" {
		event, data = next(t, r)
	}
	if !strings.Contains(data, `"number":9`) || strings.Contains(data, "alice") {
		t.Errorf("got %s", data)
	}
	body.Close()
	coretest.Eventually(t, "the follower is closed", func() bool { return strings.Contains(f.done(), "follower closed") })
}

// There are no more readers than may be, and a door that closes ends them.
func TestReaders(t *testing.T) {
	f := &fake{}
	s := New(f, Options{Readers: 2, Log: coretest.Log(t)})
	at := httptest.NewServer(s)
	defer at.Close()
	first, _ := read(t, at, "")
	_, second := read(t, at, "")
	if status, _ := call(t, at, http.MethodGet, "/api/v1/events", ""); status != http.StatusServiceUnavailable {
		t.Errorf("a third reader: got %d", status)
	}
	second.Close()
	coretest.Eventually(t, "room for another reader", func() bool {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		return len(s.hub.readers) == 1
	})
	read(t, at, "")
	s.Close()
	if _, err := io.ReadAll(first); err != nil {
		t.Errorf("at the end: %v", err)
	}
	if status, _ := call(t, at, http.MethodGet, "/api/v1/events", ""); status != http.StatusServiceUnavailable {
		t.Errorf("after the end: got %d", status)
	}
}

// One snapshot a second is made for all readers, and none without readers. A reader that
// does not read is dropped, and the others go on.
func TestHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := &hub{source: f, quit: make(chan struct{})}
		defer h.close()
		time.Sleep(time.Minute)
		if f.taken() != 0 {
			t.Fatalf("without readers: got %d snapshots", f.taken())
		}
		a, b := h.join(8), h.join(8)
		for i := range 3 * maxBehind {
			if _, open := <-a.snapshots; !open {
				t.Fatalf("the reader that reads was dropped after %d", i)
			}
		}
		synctest.Wait()
		n := 0
		for range b.snapshots {
			n++
		}
		if n != maxBehind || h.dropped != 1 {
			t.Errorf("the other one got %d snapshots; %d were dropped", n, h.dropped)
		}
		taken := f.taken()
		h.leave(a)
		time.Sleep(time.Minute)
		if f.taken() > taken+1 {
			t.Errorf("after the last reader: got %d more snapshots", f.taken()-taken)
		}
		if c := h.join(8); c == nil {
			t.Error("no room")
		} else if _, open := <-c.snapshots; !open {
			t.Error("a new reader gets nothing")
		}
	})
}
