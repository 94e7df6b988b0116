package view_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/core/view"
	"github.com/umbra-proxy/umbra/plugins"
)

// planOf returns the plan of a file.
func planOf(t *testing.T, text string) *view.Plan {
	t.Helper()
	reg := &core.Registry{}
	plugins.Standard(reg)
	f, err := config.Parse("test.toml", []byte(text), reg)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Of(f)
}

// paged is a process with a plan and one connection.
type paged struct {
	plan   *view.Plan
	target string
}

func (p paged) Status() view.Status { return view.Status{Version: "1", File: "a<b>.toml", Ready: true} }
func (p paged) Plan() *view.Plan    { return p.plan }
func (p paged) Snapshot() view.Snapshot {
	return view.Snapshot{Time: time.Now(), Ready: true, Pipelines: []view.PipelineState{{Name: "local", Streams: 7, Down: 1_500_000}},
		Components: map[string]view.ComponentState{"outbound.server": {State: view.Bad, LastError: p.target}}}
}
func (p paged) Connections(view.Filter) view.Connections {
	return view.Connections{Total: 1, List: []view.Connection{{ID: 1, User: "alice", Pipeline: "local", Target: p.target, Path: []string{"outbound.server"}, Since: time.Now()}}}
}
func (paged) Journeys(view.Filter, uint64) []view.Journey      { return nil }
func (paged) Follow(view.Filter) view.Follower                 { return nil }
func (paged) Users() []view.User                               { return nil }
func (paged) Bans(context.Context) ([]view.Ban, error)         { return nil, nil }
func (paged) Reloads() []view.Reload                           { return nil }
func (paged) Log(int) []string                                 { return nil }
func (paged) Figures(func(core.Figure))                        {}
func (paged) Compare(context.Context) (*view.Change, error)    { return nil, nil }
func (paged) Apply(context.Context, string, string) error      { return nil }
func (paged) Cut(uint64) bool                                  { return false }
func (paged) Lift(context.Context, string, netip.Prefix) error { return nil }
func (paged) Select(context.Context, string, string) error     { return nil }

// ask asks the door of a process.
func ask(p paged, o view.Options, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:9090"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	o.Log = slog.New(slog.DiscardHandler)
	view.New(p, o).ServeHTTP(w, r)
	return w
}

// The page says everything without a script, and nothing of it is markup but its own.
func TestPage(t *testing.T) {
	demo, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	const target = `<img src=x onerror=alert(1)>:443`
	p := paged{planOf(t, string(demo)), target}
	got := ask(p, view.Options{}, "GET", "/").Body.String()
	for _, want := range []string{
		"SOCKS5 on 127.0.0.1:1080 → Shadowsocks server 127.0.0.1:8388, encrypted with aes-256-gcm",
		"Shadowsocks on 127.0.0.1:8388, encrypted with aes-256-gcm → straight to the targets",
		"<td>7</td>", "1.5 MB", "&lt;img src=x onerror=alert(1)&gt;:443", "a&lt;b&gt;.toml", `<span class="state bad">bad</span>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	for _, not := range []string{"<img src=x", "style=", "onclick", "demo-everyone-knows-this-one", "<script>", "http://", "https://"} {
		if strings.Contains(got, not) {
			t.Errorf("the page has %q", not)
		}
	}
}

// Names of users are on the page only where they are shown.
func TestPageUsers(t *testing.T) {
	p := paged{planOf(t, `
[pipeline.local]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = "127.0.0.1:1080"
[outbound.direct]
`), "example.org:443"}
	for _, shown := range []bool{true, false} {
		if got := strings.Contains(ask(p, view.Options{Users: shown}, "GET", "/").Body.String(), "alice"); got != shown {
			t.Errorf("users %t: got %t", shown, got)
		}
	}
}

// Who does not know the token gets the form for it, and what the form is made of.
func TestLogin(t *testing.T) {
	closed := view.Options{Token: func() string { return "a token" }}
	form := ask(paged{}, closed, "GET", "/")
	if form.Code != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", form.Code)
	}
	for _, want := range []string{`<form method="post" action="/login">`, `name="token"`} {
		if !strings.Contains(form.Body.String(), want) {
			t.Errorf("the form does not have %q", want)
		}
	}
	if got := ask(paged{}, closed, "GET", "/page/page.css").Code; got != http.StatusOK {
		t.Errorf("the style of the form: got %d", got)
	}
	wrong := ask(paged{}, closed, "POST", "/login", "Content-Type", "application/x-www-form-urlencoded")
	if !strings.Contains(wrong.Body.String(), "not the token") {
		t.Errorf("got %q", wrong.Body)
	}
	if got := ask(paged{}, closed, "GET", "/login").Header().Get("Location"); got != "/" {
		t.Errorf("a reload of the form leads to %q", got)
	}
}

// Files have a type that a browser takes, and come once.
func TestPageFiles(t *testing.T) {
	for name, kind := range map[string]string{"page.js": "text/javascript", "page.css": "text/css", "umbra.svg": "image/svg+xml"} {
		first := ask(paged{}, view.Options{}, "GET", "/page/"+name)
		if got := first.Header().Get("Content-Type"); first.Code != http.StatusOK || !strings.HasPrefix(got, kind) {
			t.Errorf("%s: got %d %q, want %q", name, first.Code, got, kind)
		}
		if again := ask(paged{}, view.Options{}, "GET", "/page/"+name, "If-None-Match", first.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s: a second time: got %d", name, again.Code)
		}
	}
	for _, path := range []string{"/page/page.html", "/page/", "/page/uplot.LICENSE", "/page/x/page.js"} {
		if got := ask(paged{}, view.Options{}, "GET", path).Code; got != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, got)
		}
	}
}
