package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// phrase is what the Python original logs for a client whose first bytes are not a valid
// request; the address and the port follow.
const phrase = "can not parse header when handling connection from"

// forged is a SOCKS5 user name that would count against another client if it were logged
// without quotes.
const forged = "x\n2026-01-01 00:00:00 ERROR    " + phrase + " 192.0.2.9:80\n" +
	`{"time":"2026-01-01T00:00:00Z","level":"WARN","msg":"handshake failed","client":"192.0.2.9:80","reason":"auth","err":""}` + "\n"

// logged is a server's log, and the clients whose handshakes failed.
type logged struct {
	text   string
	blamed []string // addresses of clients whose handshakes failed, in order
}

// logFailures runs a server with several inbounds and a log format, connects clients without a
// key, and returns the log. It contains events of other kinds too.
func logFailures(t *testing.T, format string) logged {
	t.Helper()
	old, modern, users, v6 := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
	p := run(t, fmt.Sprintf(`
[log]
level  = "debug"
format = %q
[pipeline.modern]
chain = ["inbound.modern", "outbound.direct"]
[inbound.modern]
kind   = "ss"
listen = "127.0.0.1:%d"
cipher = "house"
handshake_timeout = "1s"
[pipeline.v6]
chain = ["inbound.v6", "outbound.direct"]
[inbound.v6]
kind   = "ss"
listen = "[::1]:%d"
cipher = "house"
[pipeline.old]
chain = ["inbound.old", "outbound.direct"]
[inbound.old]
kind   = "ss"
listen = "127.0.0.1:%d"
cipher = "old"
[pipeline.users]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = "127.0.0.1:%d"
users  = { alice = "sesame" }
[outbound.direct]
`, format, modern, v6, old, users)+cipherTable("house", "aes-256-gcm")+cipherTable("old", "aes-256-cfb"), modern, old, users)
	p.WaitOutput(t, "umbra started")
	l := logged{}
	sendInvalid := func(host string, port int, bytes string) {
		c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(bytes)); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if bytes != "" {
			l.blamed = append(l.blamed, host)
		}
		_, from, _ := net.SplitHostPort(c.LocalAddr().String())
		p.WaitOutput(t, ":"+from) // the line of this client
	}
	junk := strings.Repeat("\xff", 221)
	sendInvalid("127.0.0.1", modern, junk)
	sendInvalid("127.0.0.1", modern, "")
	sendInvalid("127.0.0.1", modern, "abc")
	sendInvalid("::1", v6, junk)
	sendInvalid("127.0.0.1", old, junk)
	sendInvalid("127.0.0.1", users, "\x05\x01\x02"+login(forged, "sesame"))
	sendInvalid("127.0.0.1", users, "GET / HTTP/1.1\r\n\r\n")
	denied(t, users)
	p.Stop()
	l.text = p.Output()
	return l
}

// login is a SOCKS5 login.
func login(name, password string) string {
	return "\x01" + string([]byte{byte(len(name))}) + name + string([]byte{byte(len(password))}) + password
}

// denied requests a target that a policy denies: its line is no failed handshake.
func denied(t *testing.T, port int) {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("\x05\x01\x02" + login("alice", "sesame") + "\x05\x01\x00\x01\x0a\x01\x02\x03\x00\x50")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
}

// runAutoban runs umbra autoban over a log and returns its standard output.
func runAutoban(t *testing.T, log string, args ...string) string {
	t.Helper()
	cmd := exec.Command(self(t), append([]string{"autoban"}, args...)...)
	cmd.Env = append(os.Environ(), asUmbra+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stdin = strings.NewReader(log)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("umbra autoban: %v\n%s", err, out)
	}
	return string(out)
}

// The script of the Python original parses the client at the end of each line with the phrase.
func TestAutobanScript(t *testing.T) {
	for _, format := range []string{"text", "python"} {
		t.Run(format, func(t *testing.T) {
			l := logFailures(t, format)
			var got []string
			for line := range strings.Lines(l.text) {
				if strings.Contains(line, phrase) {
					words := strings.Fields(line)
					last := words[len(words)-1]
					got = append(got, last[:strings.LastIndex(last, ":")])
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(l.blamed) {
				t.Errorf("got %v, want %v of\n%s", got, l.blamed, l.text)
			}
		})
	}
}

// Lines of the format python are equal to the original's.
func TestPythonLines(t *testing.T) {
	l := logFailures(t, "python")
	n := 0
	for line := range strings.Lines(l.text) {
		at, rest, ok := strings.Cut(line, " ERROR    "+phrase+" ")
		if !ok {
			continue
		}
		n++
		when, err := time.ParseInLocation("2006-01-02 15:04:05", at, time.Local)
		if err != nil || time.Since(when).Abs() > time.Minute {
			t.Errorf("got the time %q, want that of now in local time: %v", at, err)
		}
		if strings.Contains(strings.TrimSuffix(rest, "\n"), " ") {
			t.Errorf("got %q, want a line that ends in an address and a port", line)
		}
	}
	if n != len(l.blamed) {
		t.Errorf("got %d lines, want %d", n, len(l.blamed))
	}
}

// umbra autoban finds the same clients in each format. In the lines of the Python original,
// which have no reason, a request of too few bytes counts as much as a wrong key.
func TestAutobanFormats(t *testing.T) {
	for format, failures := range map[string]int{"text": 3, "json": 3, "python": 5} {
		t.Run(format, func(t *testing.T) {
			l := logFailures(t, format)
			out := runAutoban(t, l.text, "--dry-run", "--count", fmt.Sprint(failures), "--no-exempt-loopback")
			if want := fmt.Sprintf("ban 127.0.0.1 for 10m0s: %d failures in ", failures); !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 1 {
				t.Errorf("got %q, want a line %q", out, want)
			}
			out = runAutoban(t, l.text, "--dry-run", "--count", "1", "--no-exempt-loopback")
			if !strings.Contains(out, "ban ::/64 for") || strings.Contains(out, "192.0.2") {
				t.Errorf("got\n%s\nwant ::/64 among the banned clients, and no other address", out)
			}
		})
	}
}
