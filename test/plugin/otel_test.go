package plugin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestOtel builds the program of plugins/otel as its README says, and has it export the trace of a page that
// curl fetches. The tests of the module are run separately.
func TestOtel(t *testing.T) {
	module := filepath.Join(root(t), "plugins", "otel")
	fetch := exec.CommandContext(t.Context(), "go", "mod", "download")
	fetch.Dir = module
	if out, err := fetch.CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, out)
	}
	program := filepath.Join(t.TempDir(), "umbra")
	out := command(t, root(t), self(t), "build", "--with", "github.com/umbra-proxy/umbra/plugins/otel=plugins/otel", "--source", ".", "-o", program)
	if !strings.Contains(out, "new: observer.otel\n") {
		t.Errorf("got\n%s\nwant the new kind in it", out)
	}
	var traces, metrics atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
		case r.URL.Path == "/v1/traces" && bytes.Contains(body, []byte("pipeline local")) && bytes.Contains(body, []byte("dial outbound.direct")):
			traces.Add(1)
		case r.URL.Path == "/v1/metrics" && bytes.Contains(body, []byte("umbra.connections")):
			metrics.Add(1)
		}
	}))
	defer collector.Close()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	port := peer.FreePort(t)
	file := filepath.Join(t.TempDir(), "umbra.toml")
	text := fmt.Sprintf(`
[pipeline.local]
chain = ["observer.otel", "inbound.socks5", "outbound.direct"]
[observer.otel]
endpoint = %q
protocol = "http"
insecure = true
interval = "1s"
[inbound.socks5]
listen = %q
mode = "tcp"
[outbound.direct]
allow = ["127.0.0.0/8"]
`, collector.Listener.Addr(), peer.Addr(port))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "", program, "check", file)
	umbra := peer.Start(t, nil, program, "run", file)
	umbra.WaitListen(t, port)
	command(t, "", peer.Need(t, "curl"), "--silent", "--show-error", "--max-time", "60", "--proxy", "socks5h://"+peer.Addr(port), web.URL)
	umbra.Until(t, "a trace and metrics", func() bool { return traces.Load() > 0 && metrics.Load() > 0 })
}
