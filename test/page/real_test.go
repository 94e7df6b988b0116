package page

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// running is an umbra of its own process, with the file that it serves.
type running struct {
	file, url, socks string
	process          *peer.Process
}

// run builds umbra and runs a file, in which NAME:port stands for a free port.
func run(t *testing.T, text string, names ...string) running {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "umbra")
	build := exec.Command("go", "build", "-o", program, "./cmd/umbra")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ports := map[string]int{}
	for _, name := range append([]string{"web", "socks"}, names...) {
		ports[name] = peer.FreePort(t)
		text = strings.ReplaceAll(text, name+":port", peer.Addr(ports[name]))
	}
	to := running{file: filepath.Join(dir, "umbra.toml"), url: "http://" + peer.Addr(ports["web"]), socks: peer.Addr(ports["socks"])}
	write(t, to.file, text)
	to.process = peer.Start(t, nil, program, "run", to.file)
	to.process.WaitListen(t, ports["web"])
	return to
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stream serves bytes, a little all the time, until the client goes.
func stream(t *testing.T) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 32<<10)
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			<-pace.C
		}
	}))
	t.Cleanup(func() { site.CloseClientConnections(); site.Close() })
	return site.URL
}

// world is a file in which one member of a group is away, and a server that bans.
const world = `
[pipeline.local]
chain = ["inbound.socks5", "outbound.exit"]

[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]

[pipeline.guarded]
chain = ["policy.ban", "inbound.guarded", "outbound.direct"]

[inbound.socks5]
listen = "socks:port"

[inbound.ss]
listen = "server:port"
cipher = "house"

[inbound.guarded]
kind = "ss"
listen = "guarded:port"
cipher = "house"

[policy.ban]
exempt_loopback = false

[outbound.exit]
kind = "failover"
members = ["paris", "oslo"]
fall = 1

[outbound.paris]
kind = "ss"
server = "away:port"
cipher = "house"

[outbound.oslo]
kind = "ss"
server = "server:port"
cipher = "house"

[outbound.direct]
allow = ["127.0.0.0/8"]

[cipher.house]
kind = "aes-256-gcm"
password = "a password that nobody else has"

[admin]
web = "web:port"
write = true
`

// A real umbra, a real client and a real browser: what happens is on the page, and what the page
// is asked to do happens.
func TestReal(t *testing.T) {
	peer.Need(t, "curl")
	site := stream(t)
	u := run(t, world, "server", "guarded", "away")
	tb := open(t, u.url, desktop())
	tb.live()

	download := func() *peer.Process {
		return peer.Start(t, nil, "curl", "-sN", "-o", os.DevNull, "--proxy", "socks5h://"+u.socks, site)
	}
	download()
	for _, pipeline := range []string{"local", "server"} {
		tb.until("bytes of "+pipeline, fmt.Sprintf(`/1 connection · ↓ [0-9.]+ [kM]B\/s/.test(document.querySelector("[data-pipeline=%s] .now").textContent)`, pipeline))
	}
	tb.until("the edge to oslo is busy", `document.querySelector('[data-from="outbound.exit"][data-to="outbound.oslo"]').classList.contains("busy")`)
	first := eval[string](tb, `document.querySelector("[data-pipeline=local] .foot").textContent`)
	tb.until("numbers move", fmt.Sprintf(`document.querySelector("[data-pipeline=local] .foot").textContent !== %s`, quote(first)))
	tb.until("the member that is away turns", `document.querySelector('[data-component="outbound.paris"]').dataset.state === "bad"`)

	target := strings.TrimPrefix(site, "http://")
	tb.view("connections")
	tb.js(`const e = document.querySelector("#c-pipeline"); e.value = "local"; e.dispatchEvent(new Event("input", {bubbles: true}))`)
	tb.until("the connection", fmt.Sprintf(`document.querySelector("#view-connections tbody").textContent.includes(%s) && document.querySelectorAll("#view-connections tbody tr").length === 1`, quote(target)))
	tb.click("#view-connections button.danger")
	tb.until("it is cut", `document.querySelector("#view-connections caption").textContent === "no live connections"`)

	tb.view("journeys")
	tb.until("its journey", fmt.Sprintf(`document.querySelector("#view-journeys .to")?.textContent === %s`, quote(target)))
	tb.js(`document.querySelectorAll("#view-journeys summary").forEach(s => s.click())`)
	tb.until("the dial that failed is a step", `[...document.querySelectorAll("#view-journeys .waterfall li")].some(e => e.textContent.includes("outbound.paris") && e.querySelector(".error"))`)

	guarded := guess(t, u)
	tb.view("bans")
	tb.until("the ban", `document.querySelector("#view-bans tbody").textContent.includes("127.0.0.1")`)
	tb.click("#view-bans .lift")
	tb.until("it is lifted", `document.querySelector("#view-bans tbody").textContent.includes("Nobody is banned")`)
	if guarded < 3 {
		t.Errorf("banned after %d guesses", guarded)
	}

	text, err := os.ReadFile(u.file)
	if err != nil {
		t.Fatal(err)
	}
	tb.view("reloads")
	write(t, u.file, strings.Replace(string(text), `fall = 1`, `fal = 1`, 1))
	tb.click("#view-reloads .primary")
	tb.until("the mistake", `document.querySelector(".panel[open] .mistakes")?.textContent.includes("fal")`)
	tb.click(".panel header button")
	more := strings.Replace(string(text), `fall = 1`, `fall = 2`, 1) + "\n[pipeline.more]\nchain = [\"inbound.more\", \"outbound.direct\"]\n[inbound.more]\nkind = \"socks5\"\nlisten = \"" + peer.Addr(peer.FreePort(t)) + "\"\n"
	write(t, u.file, more)
	tb.click("#view-reloads .primary")
	tb.until("the changes", `(t => t?.includes("inbound.more") && t.includes("outbound.exit: fall"))(document.querySelector(".panel[open] .changes")?.textContent)`)
	tb.click(".panel .primary")
	tb.until("it is done", `!document.querySelector(".panel[open]")`)
	tb.view("overview")
	tb.until("the new pipeline", `document.querySelector("[data-pipeline=more] .plan .box")`)
}

// guess sends wrong keys to the server that bans, as many as it takes, and returns their number.
func guess(t *testing.T, u running) int {
	t.Helper()
	text, err := os.ReadFile(u.file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "kind = \"ss\"\nlisten = \"")
	address, _, _ := strings.Cut(rest, `"`)
	for n := 1; ; n++ {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		noise := make([]byte, 200)
		_, _ = rand.Read(noise)
		if _, err := conn.Write(noise); err != nil {
			t.Fatal(err)
		}
		answer, err := http.Get(u.url + "/api/v1/bans")
		if err != nil {
			t.Fatal(err)
		}
		list, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(list), "127.0.0.1") {
			return n
		}
		if n == 200 {
			t.Fatalf("no ban after %d guesses", n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
