package field

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/link"
	"github.com/umbra-proxy/umbra/test/peer"
)

// runLinks runs umbra with links in place of a file.
func runLinks(t testing.TB, port int, links ...string) *peer.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, self, append([]string{"run", "--listen", peer.Addr(port)}, links...)...)
	p.WaitListen(t, port)
	return p
}

// TestLink is one command from a link to a page: through ss-server, by SOCKS5 and HTTP, and
// with a second link whose server stands in for one that is away.
func TestLink(t *testing.T) {
	t.Parallel()
	site := origin(t)
	server := link.Server{Name: "home", Host: "127.0.0.1", Port: peer.SSServer(t, "aes-256-gcm"), Method: "aes-256-gcm", Password: peer.Password}
	away := server
	away.Port = peer.FreePort(t)
	port := peer.FreePort(t)
	p := runLinks(t, port, away.String(), server.String())
	p.WaitOutput(t, "SOCKS5 or HTTP proxy 127.0.0.1, port "+strconv.Itoa(port))
	for _, how := range []string{"socks5h", "http"} {
		out, err := exec.Command(peer.Need(t, "curl"), "--silent", "--show-error", "--max-time", "60", "--noproxy", "", "--proxy", how+"://"+peer.Addr(port), "--data", "hello", site.URL+"/echo").CombinedOutput()
		if string(out) != "hello" || err != nil {
			t.Errorf("%s: got %q, %v", how, out, err)
		}
	}
	if strings.Contains(p.Output(), peer.Password) {
		t.Error("the log has the password")
	}
}

// TestLinkQR has another program read the QR code of a link.
func TestLinkQR(t *testing.T) {
	t.Parallel()
	want := link.Server{Name: "東京 1", Host: "2001:db8::1", Port: 443, Method: "2022-blake3-aes-256-gcm", Password: manyKey(1, 32)}.String()
	path := filepath.Join(t.TempDir(), "q.png")
	if out, status := command(t, "uri", "--png", path, want); status != 0 {
		t.Fatalf("exit status %d: %s", status, out)
	}
	out, err := exec.Command(peer.Need(t, "zbarimg"), "--quiet", "--raw", path).Output()
	if strings.TrimSpace(string(out)) != want || err != nil {
		t.Errorf("got %q, %v, want %s", out, err, want)
	}
}
