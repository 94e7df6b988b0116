package view

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// Every path without, with a wrong and with the right token: only what balancers ask and the
// form's own files need none.
func TestToken(t *testing.T) {
	f := &fake{}
	token := "0123456789abcdef"
	at := start(t, f, Options{Token: func() string { return token }, Write: true, Users: true})
	open := map[string]bool{"/live": true, "/ready": true, "/page/page.css": true}
	paths := []string{"/", "/live", "/ready", "/metrics", "/page/page.css", "/page.js", "/nowhere", "/api/v1/openapi.json"}
	for _, e := range new(Server).endpoints() {
		if e.method == http.MethodGet {
			paths = append(paths, e.path)
		} else if status, _ := call(t, at, e.method, strings.NewReplacer("{id}", "7", "{name}", "g").Replace(e.path), "{}"); status != http.StatusUnauthorized {
			t.Errorf("%s %s without a token: got %d", e.method, e.path, status)
		}
	}
	for _, path := range paths {
		for _, given := range []string{"", "Bearer ", "Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Basic MDEyMzQ1Njc4OWFiY2RlZg=="} {
			status, body := call(t, at, http.MethodGet, path, "", "Authorization", given)
			if got := status != http.StatusUnauthorized; got != open[path] {
				t.Errorf("%s with %q: got %d %s", path, given, status, body)
			}
		}
		if status, _ := call(t, at, http.MethodGet, path, "", "Authorization", "Bearer "+token); status == http.StatusUnauthorized {
			t.Errorf("%s with the token: got %d", path, status)
		}
	}
	if f.done() != "" && strings.Contains(f.done(), "cut") {
		t.Errorf("without a token: did %s", f.done())
	}
	token = "" // the file is empty
	if status, _ := call(t, at, http.MethodGet, "/api/v1/plan", "", "Authorization", "Bearer "); status != http.StatusUnauthorized {
		t.Errorf("an empty token lets in: got %d", status)
	}
}

// A login sets a cookie that ends with the token.
func TestLogin(t *testing.T) {
	token := "0123456789abcdef"
	at := start(t, &fake{}, Options{Token: func() string { return token }})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	get := func() int {
		resp, err := client.Get(at.URL + "/api/v1/plan")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	login := func(with string) int {
		resp, err := client.PostForm(at.URL+"/login", url.Values{"token": {with}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if login("wrong") != http.StatusUnauthorized || get() != http.StatusUnauthorized {
		t.Error("a wrong token lets in")
	}
	if login(" 0123456789abcdef\n"); get() != http.StatusOK {
		t.Error("the right token does not let in")
	}
	token = "another token of sixteen"
	if get() != http.StatusUnauthorized {
		t.Error("the cookie outlasts the token")
	}
}

// No page of another site gets in, by a name of its own for this address or by a request
// across sites.
func TestOtherSites(t *testing.T) {
	f := &fake{}
	at := start(t, f, Options{Write: true, Hosts: []string{"umbra.example"}})
	host := strings.TrimPrefix(at.URL, "http://")
	for _, tc := range []struct {
		headers []string
		read    int
		write   int
	}{
		{nil, 200, 204},
		{[]string{"Host", "localhost:9090"}, 200, 204},
		{[]string{"Host", "umbra.example"}, 200, 204},
		{[]string{"Host", "UMBRA.example.:9090"}, 200, 204},
		{[]string{"Host", "[::1]:9090"}, 200, 204},
		{[]string{"Host", "evil.example"}, 421, 421},
		{[]string{"Host", "localhost.evil.example"}, 421, 421},
		{[]string{"Host", "127.0.0.1.evil.example"}, 421, 421},
		{[]string{"Origin", "http://" + host}, 200, 204},
		{[]string{"Origin", "http://evil.example"}, 403, 403},
		{[]string{"Origin", "null"}, 403, 403},
		{[]string{"Origin", "://"}, 403, 403},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200, 204},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403, 403},
	} {
		if status, body := call(t, at, http.MethodGet, "/api/v1/status", "", tc.headers...); status != tc.read {
			t.Errorf("read with %q: got %d %s, want %d", tc.headers, status, body, tc.read)
		}
		if status, body := call(t, at, http.MethodDelete, "/api/v1/connections/7", "", tc.headers...); status != tc.write {
			t.Errorf("write with %q: got %d %s, want %d", tc.headers, status, body, tc.write)
		}
	}
	if status, _ := call(t, at, http.MethodGet, "/", "", "Sec-Fetch-Site", "cross-site"); status == http.StatusForbidden {
		t.Error("a link on another page does not lead here")
	}
}

// Answers say that nothing of another site may be in them.
func TestHeaders(t *testing.T) {
	at := start(t, &fake{}, Options{})
	for _, path := range []string{"/", "/live", "/api/v1/plan", "/nowhere"} {
		resp, err := http.Get(at.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if h := resp.Header; !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %v", path, h)
		}
	}
}

// On a Unix socket the owner of the process is at home.
func TestPrivate(t *testing.T) {
	at := start(t, &fake{}, Options{Private: true, Write: true, Token: func() string { return "0123456789abcdef" }})
	if status, body := call(t, at, http.MethodGet, "/api/v1/status", "", "Host", "umbra"); status != http.StatusOK {
		t.Errorf("got %d %s", status, body)
	}
}
