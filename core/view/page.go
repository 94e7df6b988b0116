package view

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core/plan"
)

// pageConnections is how many live connections the page has before its script runs, or
// without one.
const pageConnections = 100

//go:embed page
var pageFiles embed.FS

// looks is what a browser gets: the HTML of the page, the form that asks for the token, and
// the files that they name. The HTML says everything in tables; the script draws it, and
// keeps it current from the API.
type looks struct {
	templates *template.Template
	files     map[string]pageFile // by name
}

// pageFile is a file as it is sent.
type pageFile struct {
	data []byte
	etag string
}

func newLooks() looks {
	l := looks{files: map[string]pageFile{}}
	l.templates = template.Must(template.New("").Funcs(template.FuncMap{
		"bytes": sizeText, "time": timeText, "took": tookText,
	}).ParseFS(pageFiles, "page/*.html"))
	list, err := pageFiles.ReadDir("page")
	if err != nil {
		panic(err) // the files are part of the program
	}
	for _, f := range list {
		switch path.Ext(f.Name()) {
		case ".js", ".css", ".svg":
			data, err := pageFiles.ReadFile("page/" + f.Name())
			if err != nil {
				panic(err)
			}
			sum := sha256.Sum256(data)
			l.files[f.Name()] = pageFile{data, `"` + hex.EncodeToString(sum[:8]) + `"`}
		}
	}
	return l
}

// isPageFile reports whether a path is that of a file that the page names. They hold nothing
// of the process.
func isPageFile(path string) bool { return strings.HasPrefix(path, "/page/") }

// page serves the page, its files, and the form for the token.
func (s *Server) page(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.writePage)
	mux.HandleFunc("GET /page/{name}", s.looks.serveFile)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusSeeOther) })
}

// serveFile serves a file that the page names.
func (l looks) serveFile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	f, ok := l.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", f.etag)
	w.Header().Set("Cache-Control", "no-cache") // a browser asks whether it has the newest
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.data))
}

// writeLogin writes the form for the token.
func (s *Server) writeLogin(w io.Writer, wrong bool) {
	_ = s.looks.templates.ExecuteTemplate(w, "login.html", wrong) // the client may have gone
}

// writePage answers with the page as it is now.
func (s *Server) writePage(w http.ResponseWriter, _ *http.Request) {
	p := s.source.Plan()
	data := pageData{
		Status: s.status(), Plan: p, Words: WordsOf(p), Snapshot: s.source.Snapshot(),
		Connections: s.source.Connections(Filter{Limit: pageConnections}),
	}
	for i := range data.Connections.List {
		s.hide(&data.Connections.List[i].User)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = s.looks.templates.ExecuteTemplate(w, "page.html", data) // the client may have gone
}

// pageData is what the template of the page is given.
type pageData struct {
	Status      Status
	Plan        *Plan
	Words       Words
	Snapshot    Snapshot
	Connections Connections
}

// Pipelines returns each pipeline with what it does now.
func (d pageData) Pipelines() []pagePipeline {
	var all []pagePipeline
	for _, p := range d.Plan.Pipelines {
		to := pagePipeline{Pipeline: p, Sentence: d.Words.Pipelines[p.Name]}
		for _, s := range d.Snapshot.Pipelines {
			if s.Name == p.Name {
				to.State = s
			}
		}
		to.Stages = d.stages(p.Stages)
		all = append(all, to)
	}
	return all
}

// pagePipeline is a pipeline as the template shows it.
type pagePipeline struct {
	*plan.Pipeline
	Sentence string
	State    PipelineState
	Stages   []pageStage
}

// pageStage is a stage as the template shows it.
type pageStage struct {
	plan.Stage
	Words    ComponentWords
	State    ComponentState
	Branches []pageBranch
}

// pageBranch is a branch as the template shows it.
type pageBranch struct {
	Label  string
	Stages []pageStage
}

func (d pageData) stages(from []plan.Stage) []pageStage {
	var all []pageStage
	for _, s := range from {
		to := pageStage{Stage: s, Words: d.Words.Components[s.Component], State: d.Snapshot.Components[s.Component]}
		for _, b := range s.Branches {
			to.Branches = append(to.Branches, pageBranch{b.Label, d.stages(b.Stages)})
		}
		all = append(all, to)
	}
	return all
}

// sizeText returns a number of bytes for people.
func sizeText(n int64) string {
	v, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, next
	}
	if v < 10 && unit != "B" {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// timeText returns a moment for people, "" for the zero time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04:05")
}

// tookText returns how long ago a moment was.
func tookText(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return now.Sub(t).Round(time.Second).String()
}
