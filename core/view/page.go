package view

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"
)

// pageConnections is how many live connections the page has before its script runs, or
// without one.
const pageConnections = 100

//go:embed page
var pageFiles embed.FS

// looks is what a browser gets: the HTML of the page, the form that asks for the token, and
// the files that they name. The HTML says everything in tables; the script draws it, and
// keeps it current from the API. There are no templates of the standard library, because
// with them the linker keeps every exported method: 9 MB.
type looks struct {
	page, login []byte
	files       map[string]pageFile // by name
}

// pageFile is a file as it is sent.
type pageFile struct {
	data []byte
	etag string
}

func newLooks() looks {
	l := looks{page: mustRead("page.html"), login: mustRead("login.html"), files: map[string]pageFile{}}
	list, err := pageFiles.ReadDir("page")
	if err != nil {
		panic(err) // the files are part of the program
	}
	for _, f := range list {
		switch path.Ext(f.Name()) {
		case ".js", ".css", ".svg":
			data := mustRead(f.Name())
			sum := sha256.Sum256(data)
			l.files[f.Name()] = pageFile{data, `"` + hex.EncodeToString(sum[:8]) + `"`}
		}
	}
	return l
}

// mustRead returns a file of the page.
func mustRead(name string) []byte {
	data, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // the files are part of the program
	}
	return data
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
	doc := parse(s.looks.login)
	if wrong {
		doc.show("wrong")
	}
	doc.write(w)
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
	doc := parse(s.looks.page)
	data.fill(doc)
	doc.write(w)
}

// pageData is what is in the page before its script runs.
type pageData struct {
	Status      Status
	Plan        *Plan
	Words       Words
	Snapshot    Snapshot
	Connections Connections
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
