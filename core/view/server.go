package view

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
)

// Options say what the door shows, and to whom.
type Options struct {
	Token    func() string // what who asks must know; nil for nothing
	Hosts    []string      // names under which the door may be reached, beside addresses and localhost
	Write    bool          // requests may change something
	Users    bool          // names of users are shown
	MaxUsers int           // how many users have series
	Readers  int           // how many may read events at once
	Private  bool          // only the owner of the process gets here: a Unix socket
	Secure   bool          // TLS is spoken
	Log      *slog.Logger
}

// Server serves the door of a Source.
type Server struct {
	source   Source
	options  Options
	sessions sessions
	looks    looks
	hub      hub
	handler  http.Handler
}

// New returns a Server. Close ends its readers of events.
func New(source Source, o Options) *Server {
	s := &Server{source: source, options: o, sessions: newSessions(), looks: newLooks()}
	s.hub.source, s.hub.quit = source, make(chan struct{})
	mux := http.NewServeMux()
	for _, e := range s.endpoints() {
		mux.HandleFunc(e.method+" "+e.path, s.endpoint(e))
	}
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) { writeLine(w, http.StatusOK, "live") })
	mux.HandleFunc("GET /ready", s.ready)
	mux.HandleFunc("GET /metrics", s.metrics())
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.HandleFunc("GET /api/v1/openapi.json", s.openAPI)
	s.page(mux)
	s.handler = s.guard(mux)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends the readers of events.
func (s *Server) Close() { s.hub.close() }

// ready answers whether the process serves its file.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if st := s.source.Status(); !st.Ready {
		writeLine(w, http.StatusServiceUnavailable, "not ready: "+st.Reason)
		return
	}
	writeLine(w, http.StatusOK, "ready")
}

// writeLine answers with a line of text.
func writeLine(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(line + "\n")) // the client may have gone
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(true)
	_ = e.Encode(v) // the client may have gone
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, Problem{Error: text})
}

// isAPI reports whether a path is one for programs.
func isAPI(path string) bool { return strings.HasPrefix(path, "/api/") }
