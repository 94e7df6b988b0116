package field

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// managerFile has a manager and an inbound of its own.
func managerFile(listen, more string) string {
	return fmt.Sprintf(`
[manager]
listen = %q
host = ["127.0.0.1"]
method = "aes-256-gcm"
chain = ["outbound.direct"]
%s
[outbound.direct]
allow = ["127.0.0.0/8"]
`, listen, more)
}

// managing is a client of a manager.
type managing struct{ net.Conn }

func manage(t testing.TB, port int) managing {
	t.Helper()
	c, err := net.Dial("udp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return managing{c}
}

// ask sends a request until it is answered: before the manager listens, nobody does.
func (m managing) ask(t testing.TB, text string) string {
	t.Helper()
	b := make([]byte, 65536)
	for end := time.Now().Add(patience); ; {
		_ = m.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(m, text)
		n, err := m.Read(b)
		if err == nil {
			return string(b[:n])
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", text, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestManagerAsLibev asks umbra and ss-manager the same, and compares the answers.
func TestManagerAsLibev(t *testing.T) {
	t.Parallel()
	ours, theirs := peer.FreePort(t), peer.FreePort(t)
	run(t, managerFile(peer.Addr(ours), ""))
	peer.Start(t, nil, peer.Need(t, "ss-manager"), "--manager-address", peer.Addr(theirs), "-m", "aes-256-gcm", "-s", "127.0.0.1", "-u",
		"-D", t.TempDir(), "--executable", peer.Need(t, "ss-server"))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, busy, _ := net.SplitHostPort(taken.Addr().String())
	var answers [2][]string
	for i, port := range []int{ours, theirs} {
		m := manage(t, port)
		first, second := strconv.Itoa(peer.FreePort(t)), strconv.Itoa(peer.FreePort(t)) // of each manager, in order
		name := strings.NewReplacer(first, "FIRST", second, "SECOND")
		for _, text := range []string{
			"ping", "list",
			`add: {"server_port":` + first + `,"password":"one"}`,
			`add: {"server_port":"` + second + `","password":"two","method":"chacha20-ietf-poly1305"}`,
			"list", "ping",
			`add: {"server_port":` + busy + `,"password":"x"}`,
			`add: {"server_port":` + first + `}`, `add: {"password":"x"}`, `add: {bad`, "add", "remove", `remove: {bad`,
			`remove: {"server_port":` + first + `}`, `remove: {"server_port":` + first + `}`, "list", "ping",
			`remove: {"server_port":` + second + `}`, "list", "ping",
		} {
			lines := strings.FieldsFunc(name.Replace(m.ask(t, text)), func(r rune) bool { return r == '\n' || r == ',' || r == '[' || r == ']' })
			slices.Sort(lines) // the order of a list says nothing
			answers[i] = append(answers[i], name.Replace(text)+" -> "+strings.Join(lines, " "))
		}
	}
	for i := range answers[0] {
		if answers[0][i] != answers[1][i] {
			t.Errorf("umbra:      %s\nss-manager: %s", answers[0][i], answers[1][i])
		}
	}
}

// TestManagerPorts adds ports and removes them while connections run: those of other ports live
// on, those of a removed one end, and what each has moved is told.
func TestManagerPorts(t *testing.T) {
	t.Parallel()
	at, one, two := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
	p := run(t, managerFile(peer.Addr(at), fmt.Sprintf("port_password = { %d = %q }", one, peer.Password)), one)
	m := manage(t, at)
	target := echoServer(t)
	hold := func(server int) net.Conn {
		c := connect(t, peer.Addr(peer.SSLocal(t, "aes-256-gcm", server)), target.String())
		if err := echo(c, "hello"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := hold(one)
	if got := m.ask(t, fmt.Sprintf(`add: {"server_port":%d,"password":%q}`, two, peer.Password)); got != "ok" {
		t.Fatal(got)
	}
	second := hold(two)
	if err := echo(first, "still here"); err != nil {
		t.Error(err)
	}
	moved := func() map[string]int {
		var counts map[string]int
		text, _ := strings.CutPrefix(m.ask(t, "ping"), "stat: ")
		if err := json.Unmarshal([]byte(text), &counts); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return counts
	}
	if got := moved(); got[strconv.Itoa(one)] != 2*len("hello"+"still here") || got[strconv.Itoa(two)] != 2*len("hello") {
		t.Errorf("got %v bytes", got)
	}
	if got := m.ask(t, fmt.Sprintf(`remove: {"server_port":%d}`, two)); got != "ok" {
		t.Error(got)
	}
	_ = second.SetDeadline(time.Now().Add(patience))
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("the connection of a removed port goes on")
	}
	if c, err := net.Dial("tcp", peer.Addr(two)); err == nil {
		c.Close()
		t.Error("the removed port is open")
	}
	p.Signal(t, syscall.SIGHUP) // the file is read again, with the ports that are there
	p.WaitOutput(t, "reloaded")
	if err := echo(first, "and here"); err != nil {
		t.Error(err)
	}
	if got := moved(); len(got) != 1 || got[strconv.Itoa(one)] != 2*len("hello"+"still here"+"and here") {
		t.Errorf("got %v bytes", got)
	}
}

// TestManagerPython is asked as the clients of the Python original ask, by a Unix socket: it
// tells of traffic by itself.
func TestManagerPython(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "umbra") // short: the path of a socket is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path, port := filepath.Join(dir, "m.sock"), peer.FreePort(t)
	p := run(t, managerFile(path, "dialect = \"python\""))
	p.WaitOutput(t, "umbra started")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has %v, %v, want mode 0600", info, err)
	}
	c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "c.sock"), Net: "unixgram"}, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := managing{c}
	for text, want := range map[string]string{"ping": "pong", `remove: {"server_port":7}`: "ok"} {
		if got := m.ask(t, text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	if got := m.ask(t, fmt.Sprintf(`add: {"server_port":%d,"password":%q,"timeout":60}`, port, peer.Password)); got != "ok" {
		t.Fatal(got)
	}
	if got := m.ask(t, fmt.Sprintf(`add: {"server_port":%d,"password":"another"}`, port)); got != "ok" { // as there: it changes nothing
		t.Fatal(got)
	}
	conn := connect(t, peer.Addr(peer.SSLocal(t, "aes-256-gcm", port)), echoServer(t).String())
	if err := echo(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	b := make([]byte, 1506)
	n, err := c.Read(b)
	if got, want := string(b[:n]), fmt.Sprintf(`stat: {"%d":10}`, port); got != want || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	conn.Close() // else the shutdown waits for it
	p.Signal(t, syscall.SIGTERM)
	if status := p.Wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
}
