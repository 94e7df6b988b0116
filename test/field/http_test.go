package field

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// httpFile is an HTTP proxy on a port that reaches targets itself.
func httpFile(port int, lines string) string {
	return fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.http", "outbound.direct"]
[inbound.http]
listen = %q
%s
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(port), lines)
}

// origin is an HTTP server with a path for each kind of answer.
func origin(t testing.TB) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Proxy-Authorization", "Proxy-Connection", "Keep-Alive"} {
			if r.Header.Get(name) != "" {
				t.Errorf("the server got %s", name)
			}
		}
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "not all")
	})
	mux.HandleFunc("/none", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/up", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\n\r\nhello ")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(c, line)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// TestHTTPKeepAlive makes requests with bodies of all framings on one connection of net/http's
// client, each of which the server gets as it was sent.
func TestHTTPKeepAlive(t *testing.T) {
	t.Parallel()
	s, port := origin(t), peer.FreePort(t)
	run(t, httpFile(port, `users = { alice = "correct horse" }`), port)
	proxy := &url.URL{Scheme: "http", Host: peer.Addr(port), User: url.UserPassword("alice", "correct horse")}
	tr := &http.Transport{Proxy: http.ProxyURL(proxy)}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: patience}
	reused := 0
	for i, size := range []int{0, 10, 100_000, 1_000_000, 3} {
		want := bytes.Repeat([]byte("x"), size)
		for _, chunked := range []bool{false, true} {
			var b io.Reader = bytes.NewReader(want)
			if chunked {
				b = io.MultiReader(b)
			}
			r, err := http.NewRequest("POST", s.URL+"/echo", b)
			if err != nil {
				t.Fatal(err)
			}
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
				if c.Reused {
					reused++
				}
			}}))
			a, err := client.Do(r)
			if err != nil {
				t.Fatalf("request %d, chunked %t: %v", i, chunked, err)
			}
			got, err := io.ReadAll(a.Body)
			a.Body.Close()
			if a.StatusCode != 200 || !bytes.Equal(got, want) || err != nil {
				t.Fatalf("request %d, chunked %t: got %s with %d bytes, %v, want %d", i, chunked, a.Status, len(got), err, size)
			}
		}
	}
	if reused < 5 {
		t.Errorf("reused the connection %d times of 9", reused)
	}
	for path, want := range map[string]int{"/none": 502, "/cut": 0} {
		a, err := client.Get(s.URL + path)
		if err != nil && want != 0 {
			t.Errorf("%s: %v", path, err)
			continue
		} else if err != nil {
			continue
		}
		_, err = io.ReadAll(a.Body)
		a.Body.Close()
		if want != 0 && a.StatusCode != want || want == 0 && err == nil {
			t.Errorf("%s: got %s, %v", path, a.Status, err)
		}
	}
}

// TestHTTPUpgrade switches protocols through the proxy.
func TestHTTPUpgrade(t *testing.T) {
	t.Parallel()
	s, port := origin(t), peer.FreePort(t)
	run(t, httpFile(port, ""), port)
	c, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprintf(c, "GET %s/up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: demo\r\n\r\n", s.URL)
	r := bufio.NewReader(c)
	a, err := http.ReadResponse(r, nil)
	if err != nil || a.StatusCode != 101 || a.Header.Get("Upgrade") != "demo" || a.Header.Get("Connection") != "Upgrade" {
		t.Fatalf("got %v, %v, want 101", a, err)
	}
	_, _ = io.WriteString(c, "world\n")
	_ = c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(r); string(got) != "hello world\n" || err != nil {
		t.Errorf("got %q, %v, want both sides' bytes", got, err)
	}
}

// TestHTTPCurl has curl ask for several targets, upload with 100-continue, use CONNECT, and meet
// refusals.
func TestHTTPCurl(t *testing.T) {
	t.Parallel()
	curl := peer.Need(t, "curl")
	s, port, closed := origin(t), peer.FreePort(t), peer.FreePort(t)
	p := run(t, httpFile(port, `users = { alice = "correct horse" }`), port)
	for _, tc := range []struct {
		name, want string
		args       []string
	}{
		{"several", "ab 200 200", []string{"-d", "a", s.URL + "/echo", "--next", "-d", "b", s.URL + "/echo"}},
		{"connect", "a 200", []string{"-p", "-d", "a", s.URL + "/echo"}},
		{"100-continue", "a 200", []string{"-H", "Expect: 100-continue", "-d", "a", s.URL + "/echo"}},
		{"HTTP/1.0", "a 200", []string{"-0", "-d", "a", s.URL + "/echo"}},
		{"refused", "502", []string{"http://" + peer.Addr(closed) + "/"}},
		{"denied", "403", []string{"http://10.0.0.1/"}},
		{"wrong password", "407", []string{"-x", "http://alice:wrong@" + peer.Addr(port), s.URL + "/echo"}},
		{"any login", "a 200", []string{"--proxy-anyauth", "-d", "a", s.URL + "/echo"}},
	} {
		words := []string{"-sS", "-m", "60"}
		for i, group := range strings.Split(strings.Join(tc.args, "\n"), "\n--next\n") {
			if i > 0 {
				words = append(words, "--next", "-sS")
			}
			words = append(words, "-x", "http://alice:correct%20horse@"+peer.Addr(port), "-w", " %{http_code}")
			words = append(words, strings.Split(group, "\n")...)
		}
		out, err := exec.Command(curl, words...).CombinedOutput()
		got := string(out)
		ok := strings.HasSuffix(got, tc.want)
		if tc.name == "several" {
			ok = got == "a 200b 200"
		}
		if !ok || err != nil {
			t.Errorf("%s: got %q, %v, want %q at its end", tc.name, got, err, tc.want)
		}
	}
	if strings.Contains(p.Output(), "no login") { // what bans by the log would ban every browser
		t.Error("a client that asked without a login first was logged")
	}
}
