package page

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/umbra-proxy/umbra/core/view"
)

// server serves a source as a process does.
type server struct {
	*httptest.Server
	streams atomic.Int32 // open streams of events
	broken  atomic.Bool  // nothing is answered
}

// serve serves s until the test ends.
func serve(t testing.TB, s *source) *server {
	t.Helper()
	return serveBy(t, s, view.Options{Write: true, Users: true, Readers: 64})
}

// serveBy is serve with options.
func serveBy(t testing.TB, s *source, o view.Options) *server {
	t.Helper()
	to := &server{}
	o.Log = slog.New(slog.DiscardHandler)
	door := view.New(s, o)
	to.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to.broken.Load() {
			http.Error(w, `{"error":"away"}`, http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == "/api/v1/events" {
			to.streams.Add(1)
			defer to.streams.Add(-1)
		}
		door.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { door.Close(); to.CloseClientConnections(); to.Close() })
	return to
}
