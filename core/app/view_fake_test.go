package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/core/view"
	"github.com/umbra-proxy/umbra/plugins"
)

// fakeProcess answers the API on the socket of a file, from what a test sets.
type fakeProcess struct {
	file string // its path
	old  bool   // it has no API

	mu          sync.Mutex
	status      view.Status
	snapshot    func() view.Snapshot
	users       []view.User
	connections []view.Connection
	journeys    []view.Journey
	change      view.Change
	refuse      map[string]*view.Problem // by method and path, in the place of an answer
	codes       map[string]int           // of refuse
	applied     []string                 // digests
	queries     []string                 // that were asked, with their methods
	followers   map[chan view.Journey]bool
}

// newFakeProcess serves a file with the pipelines "web" and "local".
func newFakeProcess(t *testing.T) *fakeProcess {
	t.Helper()
	dir, err := os.MkdirTemp("", "umbra-api") // a path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "umbra.sock")
	p := &fakeProcess{file: filepath.Join(dir, "umbra.toml"), refuse: map[string]*view.Problem{}, codes: map[string]int{}, followers: map[chan view.Journey]bool{}}
	text := fmt.Sprintf("[admin]\nsocket = %q\n", socket)
	for i, name := range []string{"web", "local"} {
		text += fmt.Sprintf("[pipeline.%s]\nchain = [\"inbound.%[1]s\", \"outbound.paris\"]\n[inbound.%[1]s]\nkind = \"socks5\"\nlisten = \"127.0.0.1:%d\"\n", name, 1080+i)
	}
	if err := os.WriteFile(p.file, []byte(text+"[outbound.paris]\nkind = \"direct\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.status = view.Status{Version: "v1", PID: 4711, Started: time.Now().Add(-3 * time.Hour), File: p.file, Generation: 2, Ready: true, Write: true, Users: true}
	p.snapshot = func() view.Snapshot { return view.Snapshot{Time: time.Now(), Generation: 2, Ready: true} }
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: p.handler()}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(ln) }()
	t.Cleanup(func() { s.Close(); <-served })
	return p
}

func (p *fakeProcess) handler() http.Handler {
	mux := http.NewServeMux()
	list := func(path string, answer func(r *http.Request) any) {
		mux.HandleFunc("GET /api/v1/"+path, func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.stopped(w, r) {
				return
			}
			_ = json.NewEncoder(w).Encode(answer(r))
		})
	}
	list("status", func(*http.Request) any { return p.status })
	list("snapshot", func(*http.Request) any { return p.snapshot() })
	list("users", func(*http.Request) any { return p.users })
	list("connections", p.list)
	list("journeys", p.ended)
	mux.HandleFunc("DELETE /api/v1/connections/{id}", p.cut)
	mux.HandleFunc("POST /api/v1/reload/compare", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.stopped(w, r) {
			_ = json.NewEncoder(w).Encode(p.change)
		}
	})
	mux.HandleFunc("POST /api/v1/reload", p.apply)
	mux.HandleFunc("GET /api/v1/events", p.events)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.old {
			http.NotFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// stopped keeps a question, and answers it with a problem if the test has set one.
func (p *fakeProcess) stopped(w http.ResponseWriter, r *http.Request) bool {
	name := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1/")
	p.queries = append(p.queries, name+"?"+r.URL.RawQuery)
	if problem := p.refuse[name]; problem != nil {
		answerProblem(w, p.codes[name], problem.Error)
		return true
	}
	return false
}

func answerProblem(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(view.Problem{Error: text})
}

// list answers with a page of the connections that match, at most 3 of them.
func (p *fakeProcess) list(r *http.Request) any {
	q := r.URL.Query()
	var found []view.Connection
	for _, c := range p.connections {
		if (q.Get("user") == "" || c.User == q.Get("user")) && (q.Get("pipeline") == "" || c.Pipeline == q.Get("pipeline")) &&
			(q.Get("outbound") == "" || slices.Contains(c.Path, q.Get("outbound"))) {
			found = append(found, c)
		}
	}
	offset, _ := strconv.Atoi(q.Get("offset"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	offset = min(offset, len(found))
	return view.Connections{Total: len(found), List: found[offset:min(len(found), offset+min(limit, 3))]}
}

// ended answers with the journeys that match.
func (p *fakeProcess) ended(r *http.Request) any {
	q := r.URL.Query()
	after, _ := strconv.ParseUint(q.Get("after"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	found := []view.Journey{}
	for _, j := range p.journeys {
		if j.Number > after && (q.Get("failed") == "" || j.Result != "ok") && (q.Get("user") == "" || j.User == q.Get("user")) {
			found = append(found, j)
		}
	}
	return found[max(0, len(found)-limit):]
}

func (p *fakeProcess) cut(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped(w, r) {
		return
	}
	id, _ := strconv.ParseUint(r.PathValue("id"), 10, 64)
	before := len(p.connections)
	p.connections = slices.DeleteFunc(p.connections, func(c view.Connection) bool { return c.ID == id })
	if len(p.connections) == before {
		answerProblem(w, http.StatusNotFound, "no such connection")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (p *fakeProcess) apply(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped(w, r) {
		return
	}
	var body struct{ Digest string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Content-Type") != "application/json" {
		answerProblem(w, http.StatusBadRequest, "no JSON")
		return
	}
	p.applied = append(p.applied, body.Digest)
}

func (p *fakeProcess) events(w http.ResponseWriter, r *http.Request) {
	told := make(chan view.Journey, 100)
	p.mu.Lock()
	p.followers[told] = true
	p.queries = append(p.queries, "GET events?"+r.URL.RawQuery)
	p.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": hello\n\nevent: snapshot\ndata: {}\n\n")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case j, open := <-told:
			if !open {
				return
			}
			text, _ := json.Marshal(j)
			fmt.Fprintf(w, "event: journey\ndata: %s\n\n", text)
		case <-r.Context().Done():
			return
		}
	}
}

// add ends a connection: its journey is told to the followers.
func (p *fakeProcess) add(j view.Journey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journeys = append(p.journeys, j)
	for told := range p.followers {
		told <- j
	}
}

// hangUp ends the event streams.
func (p *fakeProcess) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for told := range p.followers {
		close(told)
		delete(p.followers, told)
	}
}

// asked reports whether a question was asked.
func (p *fakeProcess) asked(question string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.queries, question)
}

// umbra runs a command and returns its output, its errors and its status.
func umbra(args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = app.Run(console(&out, &errs, args...), plugins.Standard)
	return out.String(), errs.String(), status
}

func console(out, errs io.Writer, args ...string) app.Console {
	return app.Console{
		Args: args, Stdin: strings.NewReader(""), Stdout: out, Stderr: errs,
		Signals: func() (<-chan os.Signal, func()) { return nil, func() {} },
	}
}
