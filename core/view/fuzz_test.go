package view

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzRequest sends requests with any path, host and origin: the door does not break, lets
// in no name that is not its own, and no page of another site.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][4]string{
		{"GET", "/api/v1/connections?limit=5&sort=-up", "127.0.0.1:9090", ""},
		{"DELETE", "/api/v1/bans?policy=policy.ban&client=192.0.2.0/24", "localhost", "http://localhost"},
		{"GET", "/page/../page/page.js", "[::1]:9090", "null"},
		{"POST", "//api/v1/reload", "evil.example", "http://evil.example"},
		{"GET", "/api/v1/journeys?after=18446744073709551615&whole=true", "umbra.example.", "http://umbra.example."},
		{"PUT", "/api/v1/groups/%2e%2e", "[fe80::1%25lo]:1", "://"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, method, path, host, origin string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Path == "/api/v1/events" || !strings.HasPrefix(path, "/") {
			return
		}
		source := new(fake)
		s := New(source, Options{Hosts: []string{"umbra.example"}, Write: true, MaxUsers: 1, Log: quiet})
		defer s.Close()
		r := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{}, Body: http.NoBody, RequestURI: path}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusMisdirectedRequest {
			return
		}
		name := strings.ToLower(host)
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, ']') {
			if _, err := netip.ParseAddr(name); err != nil {
				name = name[:i]
			}
		}
		name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
		if _, err := netip.ParseAddr(name); err != nil && name != "localhost" && name != "umbra.example" {
			t.Errorf("got in as %q", host)
		}
		if o, err := url.Parse(origin); origin != "" && (err != nil || !strings.EqualFold(o.Host, host)) && source.done() != "" {
			t.Errorf("a page of %q did %s at %q", origin, source.done(), host)
		}
	})
}

// quiet is a log that nobody reads.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
