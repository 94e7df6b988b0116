package field

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/view"
	"github.com/umbra-proxy/umbra/test/peer"
)

// doorFile is a file with one pipeline, whose [admin] table is given.
func doorFile(socks int, admin string) string {
	return fmt.Sprintf(`[pipeline.local]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = %q
[outbound.direct]
allow = ["127.0.0.1"]
[admin]
%s
`, peer.Addr(socks), admin)
}

// door is a client of the web of [admin].
type door struct {
	client *http.Client
	url    string
	token  string
}

// ask makes a request and returns its status, and its answer.
func (d *door) ask(t testing.TB, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if d.token != "" {
		r.Header.Set("Authorization", "Bearer "+d.token)
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(all)
}

// webDoor is a door at a loopback port.
func webDoor(t testing.TB, port int) *door {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &door{client: &http.Client{Transport: transport, Timeout: patience}, url: "http://" + peer.Addr(port)}
}

// doorCertificate writes a new certificate for 127.0.0.1 with its key.
func doorCertificate(t testing.TB, cert, key string) *x509.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestDoorSecrets changes the token and the certificate of a door in use.
func TestDoorSecrets(t *testing.T) {
	t.Parallel()
	socks, web, dir := peer.FreePort(t), peer.FreePort(t), t.TempDir()
	token, cert, key := filepath.Join(dir, "token"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the first token of all\n")
	first := doorCertificate(t, cert, key)
	umbra := run(t, doorFile(socks, fmt.Sprintf("web = %q\ntoken_file = %q\ncert = %q\nkey = %q", peer.Addr(web), token, cert, key)), socks, web)
	visit := func(trusted *x509.Certificate, with string) int {
		pool := x509.NewCertPool()
		pool.AddCert(trusted)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
		d := &door{client: &http.Client{Transport: transport, Timeout: patience}, url: "https://" + peer.Addr(web), token: with}
		status, _ := d.ask(t, http.MethodGet, "/api/v1/status", "")
		return status
	}
	if visit(first, "the first token of all") != 200 || visit(first, "") != 401 || visit(first, "the second token of all") != 401 {
		t.Fatal("want the first token, and no other, to be good")
	}
	write("the second token of all")
	umbra.Until(t, "take the second token", func() bool { return visit(first, "the second token of all") == 200 })
	if visit(first, "the first token of all") != 401 {
		t.Error("the first token is still good")
	}
	write("short")
	umbra.Until(t, "tell of a bad token", func() bool {
		if visit(first, "the second token of all") != 200 {
			t.Fatal("a bad token file has put out the token before")
		}
		return strings.Contains(umbra.Output(), "want 16 or more")
	})
	second := doorCertificate(t, cert, key)
	umbra.Until(t, "show the second certificate", func() bool { return visit(second, "the second token of all") == 200 })
}

// TestDoorMistakes gives what a door can't be opened with. Each is told with its place, by
// check too if nothing must be bound for it.
func TestDoorMistakes(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("123"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ command, admin, want string }{
		{"run", fmt.Sprintf("web = %q", taken.Addr()), "umbra.toml:8:7: admin.web: listen on " + taken.Addr().String() + ": address already in use"},
		{"check", "web = \"127.0.0.1:9090\"\ntoken_file = \"/nowhere/token\"", "umbra.toml:9:14: admin.token_file: read /nowhere/token: no such file or directory"},
		{"check", fmt.Sprintf("web = \"127.0.0.1:9090\"\ntoken_file = %q", short), "umbra.toml:9:14: admin.token_file: " + short + ": the token has 3 bytes"},
		{"check", fmt.Sprintf("web = \"127.0.0.1:9090\"\ncert = %q\nkey = %[1]q", short), "umbra.toml:9:8: admin.cert: "},
		{"check", "web = \"0.0.0.0:9090\"", "umbra.toml:8:7: admin.web: 0.0.0.0 is not a loopback address"},
		{"run", fmt.Sprintf("socket = %q", filepath.Join(dir, "nowhere", "sock")), "umbra.toml:8:10: admin.socket: listen on"},
	} {
		path := filepath.Join(t.TempDir(), "umbra.toml")
		if err := os.WriteFile(path, []byte(doorFile(peer.FreePort(t), tc.admin)), 0o600); err != nil {
			t.Fatal(err)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		p := peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, self, tc.command, path)
		if status := p.Wait(t); status != 1 || !strings.Contains(p.Output(), tc.want) {
			t.Errorf("%s with %s: got %d and\n%s\nwant %s", tc.command, tc.admin, status, p.Output(), tc.want)
		}
	}
}

// TestReadyWhileDraining ends a process with a connection open: the door says that it is not
// ready, and tells of the connection until it has ended.
func TestReadyWhileDraining(t *testing.T) {
	t.Parallel()
	socks, web := peer.FreePort(t), peer.FreePort(t)
	umbra := run(t, doorFile(socks, fmt.Sprintf("web = %q", peer.Addr(web))), socks, web)
	d := webDoor(t, web)
	c, rep := dialSOCKS(t, socks, 1, peer.Addr(listenEcho(t)))
	if rep != 0 {
		t.Fatalf("reply %d", rep)
	}
	umbra.Until(t, "be ready", func() bool { status, _ := d.ask(t, http.MethodGet, "/ready", ""); return status == 200 })
	umbra.Signal(t, syscall.SIGTERM)
	umbra.Until(t, "say that it drains", func() bool {
		status, body := d.ask(t, http.MethodGet, "/ready", "")
		return status == 503 && strings.Contains(body, "draining")
	})
	if status, body := d.ask(t, http.MethodGet, "/api/v1/connections", ""); status != 200 || !strings.Contains(body, `"total":1`) {
		t.Errorf("draining: got %d %s", status, body)
	}
	if status, _ := d.ask(t, http.MethodGet, "/live", ""); status != 200 {
		t.Errorf("draining: live: got %d", status)
	}
	c.Close()
	if status := umbra.Wait(t); status != 0 {
		t.Errorf("got status %d", status)
	}
}

// TestApply looks at what a changed file would change, and applies it: a running connection
// goes on, and the new listener serves. A file that has changed since, or with a mistake, is
// not applied.
func TestApply(t *testing.T) {
	t.Parallel()
	socks, more, web := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
	path := filepath.Join(t.TempDir(), "umbra.toml")
	put := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := doorFile(socks, fmt.Sprintf("web = %q\nwrite = true", peer.Addr(web)))
	put(file)
	runAt(t, path, nil, socks, web)
	d := webDoor(t, web)
	echo := peer.Addr(listenEcho(t))
	c, rep := dialSOCKS(t, socks, 1, echo)
	if rep != 0 {
		t.Fatalf("reply %d", rep)
	}
	put(strings.Replace(file, `allow = ["127.0.0.1"]`, `allow = ["127.0.0.0/8"]`, 1) + fmt.Sprintf(`
[pipeline.more]
chain = ["inbound.more", "outbound.direct"]
[inbound.more]
kind = "socks5"
listen = %q
`, peer.Addr(more)))
	var change view.Change
	status, body := d.ask(t, http.MethodPost, "/api/v1/reload/compare", "")
	if err := json.Unmarshal([]byte(body), &change); status != 200 || err != nil {
		t.Fatalf("compare: got %d %s", status, body)
	}
	for got, want := range map[string]string{
		fmt.Sprint(change.Kept):    fmt.Sprintf("[tcp+udp %s (inbound.socks5)]", peer.Addr(socks)),
		fmt.Sprint(change.Opened):  fmt.Sprintf("[tcp+udp %s (inbound.more)]", peer.Addr(more)),
		fmt.Sprint(change.Added):   "[inbound.more pipeline.more]",
		fmt.Sprint(change.Changed): "[{outbound.direct [allow]}]",
	} {
		if got != want {
			t.Errorf("compare: got %s, want %s in %s", got, want, body)
		}
	}
	if len(change.Closed)+len(change.Removed) > 0 {
		t.Errorf("compare: got %s", body)
	}
	if status, body := d.ask(t, http.MethodPost, "/api/v1/reload", `{"digest":"of another file"}`); status != 409 {
		t.Errorf("another digest: got %d %s", status, body)
	}
	if status, body := d.ask(t, http.MethodPost, "/api/v1/reload", fmt.Sprintf(`{"digest":%q}`, change.Digest)); status != 204 {
		t.Fatalf("apply: got %d %s", status, body)
	}
	if _, rep := dialSOCKS(t, more, 1, echo); rep != 0 {
		t.Errorf("the new listener: reply %d", rep)
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("the running connection: %v", err)
	}
	put(strings.Replace(file, "allow", "alow", 1))
	if status, body := d.ask(t, http.MethodPost, "/api/v1/reload/compare", ""); status != 422 || !strings.Contains(body, "umbra.toml:6:1") {
		t.Errorf("a mistake: got %d %s", status, body)
	}
	var reloads []view.Reload
	_, body = d.ask(t, http.MethodGet, "/api/v1/reloads", "")
	if err := json.Unmarshal([]byte(body), &reloads); err != nil || len(reloads) != 2 || reloads[1].By != "api" || reloads[1].Generation != 2 || reloads[1].Change == nil {
		t.Errorf("reloads: got %s", body)
	}
}

// TestDoorMovesNowhere reloads with an address of the door that is taken: the old door stays.
func TestDoorMovesNowhere(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	socks, web := peer.FreePort(t), peer.FreePort(t)
	path := filepath.Join(t.TempDir(), "umbra.toml")
	put := func(web string) {
		if err := os.WriteFile(path, []byte(doorFile(socks, fmt.Sprintf("web = %q", web))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(peer.Addr(web))
	umbra := runAt(t, path, nil, socks, web)
	put(taken.Addr().String())
	umbra.Signal(t, syscall.SIGHUP)
	umbra.WaitOutput(t, "no door of [admin]")
	if status, body := webDoor(t, web).ask(t, http.MethodGet, "/ready", ""); status != 200 {
		t.Errorf("the old door: got %d %s", status, body)
	}
}

// TestFailingOutbound has an outbound fail: it is bad in the snapshot, and the journey of the
// request tells where it failed, without the whole address of its client.
func TestFailingOutbound(t *testing.T) {
	t.Parallel()
	socks, web, nobody := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
	umbra := run(t, fmt.Sprintf(`[pipeline.local]
chain = ["inbound.socks5", "outbound.hop"]
[inbound.socks5]
listen = %q
[outbound.hop]
kind = "socks5"
server = %q
[admin]
web = %q
`, peer.Addr(socks), peer.Addr(nobody), peer.Addr(web)), socks, web)
	d := webDoor(t, web)
	if _, rep := dialSOCKS(t, socks, 1, "name.test:80"); rep == 0 {
		t.Fatal("the request was served")
	}
	var s view.Snapshot
	umbra.Until(t, "show the failed outbound", func() bool {
		_, body := d.ask(t, http.MethodGet, "/api/v1/snapshot", "")
		return json.Unmarshal([]byte(body), &s) == nil && s.Pipelines[0].Ended["refused"] == 1
	})
	if at := s.Components["outbound.hop"]; at.State != view.Bad || !strings.Contains(at.LastError, "connection refused") {
		t.Errorf("got %+v", at)
	}
	var all []view.Journey
	_, body := d.ask(t, http.MethodGet, "/api/v1/journeys?failed=true&outbound=outbound.hop", "")
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) != 1 {
		t.Fatalf("journeys: got %s", body)
	}
	j := all[0]
	var kinds []string
	for _, step := range j.Steps {
		kinds = append(kinds, step.Kind)
	}
	if fmt.Sprint(kinds) != "[admit handshake dial end]" || j.Steps[2].Error == "" || j.Target != "name.test:80" || j.Client != "127.0.0.0/24" || j.Result != "refused" {
		t.Errorf("got %+v", j)
	}
}

// TestSocketAPI asks the Unix socket, whose clients are the owner of the process.
func TestSocketAPI(t *testing.T) {
	t.Parallel()
	socks, path := peer.FreePort(t), filepath.Join(t.TempDir(), "sock")
	run(t, doorFile(socks, fmt.Sprintf("socket = %q", path)), socks).WaitOutput(t, "umbra started") // the socket is opened last
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	d := &door{client: &http.Client{Transport: transport, Timeout: patience}, url: "http://umbra"}
	c, rep := dialSOCKS(t, socks, 1, peer.Addr(listenEcho(t)))
	if rep != 0 {
		t.Fatalf("reply %d", rep)
	}
	var list view.Connections
	_, body := d.ask(t, http.MethodGet, "/api/v1/connections", "")
	if err := json.Unmarshal([]byte(body), &list); err != nil || list.Total != 1 || list.List[0].Client != c.LocalAddr().String() {
		t.Fatalf("got %s", body)
	}
	if status, body := d.ask(t, http.MethodDelete, fmt.Sprintf("/api/v1/connections/%d", list.List[0].ID), ""); status != 204 {
		t.Errorf("cut: got %d %s", status, body)
	}
	if rest, err := io.ReadAll(c); len(rest) > 0 {
		t.Errorf("the connection that was cut: got %q, %v", rest, err)
	}
	_, body = d.ask(t, http.MethodGet, "/metrics", "")
	if !bytes.Contains([]byte(body), []byte(`umbra_connections_total{network="tcp",pipeline="local",result="denied"} 1`)) {
		t.Errorf("metrics: got %s", body)
	}
}
