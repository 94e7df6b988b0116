package field

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// manyUsers returns a user file with n users and keys of so many bytes, and a user more for
// each number from 0 on.
func manyUsers(n, number, size int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, ",\n\"user%06d\": %q", i, manyKey(i, size))
	}
	for i := range number + 1 {
		fmt.Fprintf(&b, ",\n\"added%d\": %q", i, manyKey(n+i, size))
	}
	return "{" + b.String()[1:] + "\n}\n"
}

func manyKey(i, size int) string {
	key := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	binary.BigEndian.PutUint64(key, uint64(i))
	return base64.StdEncoding.EncodeToString(key)
}

// manyNames returns a list of n names.
func manyNames(n, number int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "host%06d.list.test\n", i)
	}
	fmt.Fprintf(&b, "last%d.list.test\n", number)
	return b.String()
}

// TestGenerations reloads a server with large files again and again while a connection
// lives at each generation. Memory stays that of one generation, whether the files are the
// same, have changed, or are others at each reload. `make soak` does it with 100,000 users.
func TestGenerations(t *testing.T) {
	t.Parallel()
	users, names, soak := 10_000, 20_000, os.Getenv("UMBRA_TEST_SOAK") != ""
	if soak {
		users, names = 100_000, 200_000
	}
	const reloads = 20
	for _, tc := range []struct {
		name, method string
		path         func(generation int) string // the end of the name of the user file
		extra        string                      // options of the cipher
	}{
		{"2022 unchanged", "2022-blake3-aes-256-gcm", func(int) string { return "0" }, ""},
		{"2022 changed", "2022-blake3-aes-256-gcm", nil, ""},
		{"2022 cut", "2022-blake3-aes-128-gcm", nil, "cut_removed = true"},
		{"2022 others", "2022-blake3-aes-128-gcm", strconv.Itoa, ""},
		{"SIP004 unchanged", "aes-256-gcm", func(int) string { return "0" }, ""},
		{"SIP004 changed", "aes-256-gcm", nil, ""},
		{"SIP004 cut", "aes-128-gcm", nil, "cut_removed = true"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			g := generations{dir: dir, method: tc.method, extra: tc.extra, port: peer.FreePort(t), proxy: peer.FreePort(t)}
			save := func(name, text string) {
				t.Helper()
				temp := filepath.Join(dir, "temp")
				err := os.WriteFile(temp, []byte(text), 0o600)
				if err == nil {
					err = os.Rename(temp, filepath.Join(dir, name))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			files := func(n int) string {
				at := "0"
				if tc.path != nil {
					at = tc.path(n)
				}
				if n == 0 || tc.path == nil || at != "0" {
					save("users"+at, manyUsers(users, n, g.keySize()))
					save("names", manyNames(names, n))
				}
				return at
			}
			save("umbra.toml", g.file(files(0)))
			umbra := runAt(t, filepath.Join(dir, "umbra.toml"), []string{"GOGC=10"}, g.port) // so that little of the memory is garbage
			run(t, g.local(), g.proxy)
			target := echoServer(t)
			held := []net.Conn{g.hold(t, target)}
			one := settled(t, umbra, 0, 5*time.Second)
			for n := 1; n <= reloads; n++ {
				save("umbra.toml", g.file(files(n)))
				umbra.Signal(t, syscall.SIGHUP)
				umbra.WaitOutput(t, fmt.Sprintf("serving generation=%d ", n+1))
				held = append(held, g.hold(t, target))
			}
			most := int(float64(one) * mostMemory)
			bound := most
			if soak {
				bound = 0 // waits for the least, which is told
			}
			now := settled(t, umbra, bound, 30*time.Second)
			t.Logf("%d users, %d names: %d KiB at first, %d KiB after %d reloads: %.2f times", users, names, one, now, reloads, float64(now)/float64(one))
			if now > most {
				t.Errorf("got %d KiB after %d reloads, want at most %.1f times the %d KiB of one generation", now, reloads, mostMemory, one)
			}
			for n, c := range held {
				if err := echo(c, fmt.Sprint("still here: ", n)); err != nil {
					t.Errorf("the connection of generation %d: %v", n+1, err)
				}
			}
		})
	}
}

// generations is a server and its client.
type generations struct {
	dir, method, extra string
	port, proxy        int
}

// keySize returns the size of a key in bytes.
func (g generations) keySize() int {
	if strings.Contains(g.method, "256") {
		return 32
	}
	return 16
}

func (g generations) serverKey() string { return manyKey(1<<30, g.keySize()) }

func (g generations) file(at string) string {
	password := ""
	if strings.HasPrefix(g.method, "2022") {
		password = fmt.Sprintf("password = %q", g.serverKey())
	}
	return fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "policy.acl", "outbound.direct"]
[inbound.ss]
listen = %q
mode = "tcp"
cipher = "house"
[cipher.house]
kind = %q
%s
users_file = %q
%s
[policy.acl]
deny_targets = ["file:%s"]
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(g.port), g.method, password, filepath.Join(g.dir, "users"+at), g.extra, filepath.Join(g.dir, "names"))
}

func (g generations) local() string {
	password := manyKey(1, g.keySize())
	if strings.HasPrefix(g.method, "2022") {
		password = g.serverKey() + ":" + password
	}
	return fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.ss"]
[inbound.socks5]
listen = %q
[outbound.ss]
server = %q
cipher = "house"
[cipher.house]
kind = %q
password = %q
`, peer.Addr(g.proxy), peer.Addr(g.port), g.method, password)
}

// hold opens a connection to target that lives until the test ends.
func (g generations) hold(t testing.TB, target core.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", peer.Addr(g.proxy))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(socksaddr.Append([]byte{5, 1, 0, 5, 1, 0}, target)); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil || answer[3] != 0 {
		t.Fatalf("got the SOCKS answer %x, %v", answer, err)
	}
	if err := echo(c, "hello"); err != nil {
		t.Fatal(err)
	}
	return c
}

// echo sends text and reads it back.
func echo(c io.ReadWriter, text string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		return fmt.Errorf("read %q, %w", got, err)
	}
	return nil
}

// echoServer runs a server that echoes.
func echoServer(t testing.TB) core.Addr {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	addr, err := core.ParseAddr(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// settled returns the resident memory of a program in KiB once it is at most bound, or the
// least within a time in which a quiet process gives back what it does not use.
func settled(t testing.TB, p *peer.Process, bound int, within time.Duration) int {
	t.Helper()
	least := resident(t, p)
	const every = 250 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := within / every; n > 0 && least > bound; n-- {
		<-tick.C
		least = min(least, resident(t, p))
	}
	return least
}

// resident returns the resident memory of a program in KiB.
func resident(t testing.TB, p *peer.Process) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
