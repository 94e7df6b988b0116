package field

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// programNamed returns a path by which the tested program is called by another name.
func programNamed(t testing.TB, name string) (path string, env []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}
}

// program starts the tested program by another name.
func program(t testing.TB, name string, args ...string) *peer.Process {
	t.Helper()
	path, env := programNamed(t, name)
	return peer.Start(t, env, path, args...)
}

// call runs the tested program by another name to its end.
func call(t testing.TB, name string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	path, env := programNamed(t, name)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// webPage is a web server with one page.
func webPage(t testing.TB) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the page") }))
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// fetch fetches the page through a SOCKS5 side.
func fetch(t testing.TB, socks int, url string) {
	t.Helper()
	if got, err := curlThrough(t, peer.Addr(socks), url); got != "the page" {
		t.Errorf("got %q, %v, want the page", got, err)
	}
}

// TestPythonSuite plays the rules of the Python original's own tests for each form of file: one
// file for both programs, a page and a datagram through them, and SIGINT for both.
func TestPythonSuite(t *testing.T) {
	t.Parallel()
	url, packets := webPage(t), echoUDP(t)
	for _, tc := range []struct {
		name, file    string // PORT, PORT2 and LOCAL are ports
		local, server string // further flags
	}{
		{"aes", `"password": "aes_password", "timeout": 60, "method": "aes-256-cfb", "local_address": "127.0.0.1", "fast_open": false`, "", ""},
		{"aes-cfb8", `"method": "aes-256-cfb8"`, "", ""},
		{"aes-ofb", `"method": "aes-256-ofb"`, "", ""},
		{"aes-ctr", `"method": "aes-256-ctr"`, "", ""},
		{"aes-gcm", `"method": "aes-256-gcm"`, "", ""},
		{"mbedtls", `"method": "mbedtls:aes-256-cfb128"`, "", ""},
		{"chacha20", `"method": "chacha20"`, "", ""},
		{"chacha20-ietf", `"method": "chacha20-ietf"`, "", ""},
		{"chacha20-ietf-poly1305", `"method": "chacha20-ietf-poly1305"`, "", ""},
		{"xchacha20", `"method": "xchacha20"`, "", ""},
		{"rc4-md5", `"method": "rc4-md5"`, "", ""},
		{"salsa20", `"method": "salsa20"`, "", ""},
		{"table", `"method": "table"`, "", ""},
		{"workers", `"workers": 4`, "", ""},
		{"fastopen", `"fast_open": true`, "", ""},
		{"server-multi-passwd", `"port_password": {"PORT": "aes_password", "PORT2": "another"}`, "", ""},
		{"server-multi-ports", `"server_port": ["PORT2", PORT]`, "-p PORT", ""},
		{"client-multi-server-ip", `"server": ["127.0.0.1", "127.0.0.1"]`, "", "-s 127.0.0.1"},
		{"ipv6", `"server": "::1"`, "", ""},
		{"ipv6-client-side", `"local_address": "::1"`, "", ""},
		{"dns", `"prefer_ipv6": true, "dns_server": ["127.0.0.1"]`, "-vv", "-v"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server, second, local := peer.FreePort(t), peer.FreePort(t), peer.FreePort(t)
			ports := strings.NewReplacer("PORT2", strconv.Itoa(second), "PORT", strconv.Itoa(server), "LOCAL", strconv.Itoa(local))
			text := `{`
			for key, value := range map[string]string{"server": `"127.0.0.1"`, "server_port": "PORT", "local_port": "LOCAL", "password": `"aes_password"`, "forbidden_ip": `""`} {
				if !strings.Contains(tc.file, `"`+key+`":`) {
					text += fmt.Sprintf("%q: %s, ", key, value)
				}
			}
			path := write(t, "config.json", ports.Replace(text+tc.file+"}"))
			flags := func(more string) []string {
				return append([]string{"-c", path}, strings.Fields(ports.Replace(more))...)
			}
			s := program(t, "ssserver", flags(tc.server)...)
			l := program(t, "sslocal", flags(tc.local)...)
			s.WaitOutput(t, "starting server at ")
			l.WaitOutput(t, "starting local at ")
			at := peer.Addr(local)
			if strings.Contains(tc.file, `"local_address": "::1"`) {
				at = net.JoinHostPort("::1", strconv.Itoa(local))
			}
			if got, err := curlThrough(t, at, url); got != "the page" {
				t.Errorf("got %q, %v, want the page", got, err)
			}
			if at == peer.Addr(local) {
				if got := sendThrough(t, at, packets, "datagram"); got != "datagram" {
					t.Errorf("UDP: got %q", got)
				}
			}
			for _, p := range []*peer.Process{s, l} {
				p.Signal(t, syscall.SIGINT)
			}
			if got := []int{s.Wait(t), l.Wait(t)}; got[0] != 1 || got[1] != 1 {
				t.Errorf("after SIGINT: got statuses %d, want 1", got)
			}
		})
	}
}

// TestPythonCommand compares the lines that the original's suite compares.
func TestPythonCommand(t *testing.T) {
	t.Parallel()
	pid := filepath.Join(t.TempDir(), "pid")
	for _, tc := range []struct {
		name, args string
		word, line string // the one line of the output with the word, behind it
		status     int
		foreground bool
	}{
		{"sslocal", "--version", "Shadowsocks", " 3.0.0 (umbra", 0, true},
		{"sslocal", "", "ERROR", ": config not specified\n", 2, true},
		{"sslocal", "", "usage", ": sslocal", 2, true},
		{"ssserver", "", "usage", ": ssserver", 2, true},
		{"sslocal", "--help", "usage", ": sslocal", 0, true},
		{"sslocal", "-m aes-256-cfb -k testrc4 -p 8388", "ERROR", "    server addr not specified\n", 2, true},
		{"sslocal", "-m aes-256-cfb -p 8388 -s 0.0.0.0", "ERROR", "    password not specified\n", 2, true},
		{"ssserver", "-m aes-256-cfb -p 8388 -s 0.0.0.0", "ERROR", "    password or port_password not specified\n", 2, true},
		{"ssserver", "-m aes-256-cfb -p 8388 -k mypassword -d start", "ERROR", "    DON'T USE DEFAULT PASSWORD! Please change it in your config.json!\n", 1, true},
		{"ssserver", "-m aes-256-cfb -p 8388 -k testrc4 --forbidden-ip=127.0.0.1/4a", "ERROR", "    Not a valid CIDR notation: 127.0.0.1/4a\n", 2, true},
		{"sslocal", "-k testrc4 -s 127.0.0.1 -p 8388 -lLOCAL -d start", "WARNING", "  warning: server set to listen on 127.0.0.1:8388, are you sure?\n", 0, false},
		{"sslocal", "-m rc4-md5 -k testrc4 -s 0.0.0.0 -p 8388 -lLOCAL -t10 -d start", "WARNING", "  warning: your timeout 10 seems too short\n", 0, false},
		{"sslocal", "-m rc4-md5 -k testrc4 -s 0.0.0.0 -p 8388 -lLOCAL -t1000 -d restart", "WARNING", "  warning: your timeout 1000 seems too long\n", 0, false},
		{"sslocal", "-m rc4 -k testrc4 -s 0.0.0.0 -p 8388 -lLOCAL -d start", "WARNING", "  warning: RC4 is not safe; please use a safer cipher, like AES-256-CFB\n", 1, false},
	} {
		t.Run(tc.name+" "+tc.args, func(t *testing.T) { // one after another: they share a pid file
			args := strings.Fields(strings.ReplaceAll(tc.args, "LOCAL", strconv.Itoa(peer.FreePort(t))))
			if strings.Contains(tc.args, "-d") {
				args = append(args, "--pid-file", pid, "--log-file", pid+".log")
			}
			out, errs, status := call(t, tc.name, args...)
			if !tc.foreground {
				defer call(t, tc.name, "-d", "stop", "--pid-file", pid)
			}
			all := out + errs
			_, line, _ := strings.Cut(all, tc.word)
			if strings.Count(all, tc.word) != 1 || !strings.HasPrefix(line, tc.line) || status != tc.status {
				t.Errorf("got %d and\n%s\nwant %d and one line with %q and %q", status, all, tc.status, tc.word, tc.line)
			}
		})
	}
}

// TestPythonDaemon is the life of a daemon: its statuses, its pid file, its log, and what
// else wants the same pid file.
func TestPythonDaemon(t *testing.T) {
	t.Parallel()
	url := webPage(t)
	dir := t.TempDir()
	server, local := peer.FreePort(t), peer.FreePort(t)
	config := write(t, "aes.json", fmt.Sprintf(`{"server": "127.0.0.1", "server_port": %d, "local_port": %d, "password": "secret", "forbidden_ip": []}`, server, local))
	run := func(name, command string, want int, text string) {
		t.Helper()
		args := []string{"-d", command, "--pid-file", filepath.Join(dir, name+".pid"), "--log-file", filepath.Join(dir, name+".log")}
		if command != "stop" {
			args = append(args, "-c", config)
		}
		out, errs, status := call(t, name, args...)
		if status != want || !strings.Contains(out+errs, text) {
			t.Errorf("%s -d %s: got %d and %q, want %d and %q", name, command, status, out+errs, want, text)
		}
	}
	for _, name := range []string{"ssserver", "sslocal"} {
		defer run(name, "stop", 0, "")
		run(name, "stop", 0, "not running")
		run(name, "start", 0, "started")
		run(name, "stop", 0, "stopped")
		run(name, "start", 0, "started")
		run(name, "start", 1, "already started at pid ")
		run(name, "restart", 0, "started")
		run(name, "stop", 0, "stopped")
		run(name, "restart", 0, "started")
	}
	fetch(t, local, url)
	if log, err := os.ReadFile(filepath.Join(dir, "ssserver.log")); err != nil || !strings.Contains(string(log), "INFO     starting server at 127.0.0.1:"+strconv.Itoa(server)) {
		t.Errorf("got log %s, %v", log, err)
	}
}

// TestPythonUser: a server that root starts is another user's once its port is open, in all its
// threads, and serves.
func TestPythonUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("takes root")
	}
	url := webPage(t)
	server := peer.FreePort(t)
	s := program(t, "ssserver", "-k", peer.Password, "-p", strconv.Itoa(server), "-m", "aes-256-gcm", "--user", "nobody", "--forbidden-ip=")
	s.WaitOutput(t, "starting server at ")
	fetch(t, peer.SSLocal(t, "aes-256-gcm", server), url)
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.Cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65534\t65534\t65534\t65534\n", "Groups:\t65534 \n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("%s: got\n%s%v\nwant %q", path, status, err, want)
			}
		}
	}
}

// TestPythonGraceful: SIGQUIT frees the port at once for a successor, while a connection goes on
// until its end, with which the process ends.
func TestPythonGraceful(t *testing.T) {
	t.Parallel()
	url, target := webPage(t), listenEcho(t)
	server, local := peer.FreePort(t), peer.FreePort(t)
	flags := []string{"-k", "secret", "-p", strconv.Itoa(server), "--forbidden-ip="}
	old := program(t, "ssserver", flags...)
	old.WaitOutput(t, "starting server at ")
	l := program(t, "sslocal", "-s", "127.0.0.1", "-k", "secret", "-p", strconv.Itoa(server), "-l", strconv.Itoa(local))
	l.WaitOutput(t, "starting local at ")
	held, rep := dialSOCKS(t, local, 1, peer.Addr(target))
	if rep != 0 {
		t.Fatalf("got reply %d", rep)
	}
	if err := echo(held, "before"); err != nil {
		t.Fatal(err)
	}
	old.Signal(t, syscall.SIGQUIT)
	old.Until(t, "freed its port", func() bool { return unserved(peer.Addr(server)) })
	next := program(t, "ssserver", flags...)
	next.WaitOutput(t, "starting server at ")
	fetch(t, local, url)
	if err := echo(held, "after"); err != nil || old.Ended() {
		t.Errorf("the connection that was held: got %v, ended %t", err, old.Ended())
	}
	held.Close()
	if got := old.Wait(t); got != 0 {
		t.Errorf("got status %d, want 0", got)
	}
	next.Signal(t, syscall.SIGTERM)
	if got := next.Wait(t); got != 0 {
		t.Errorf("after SIGTERM: got status %d, want 0", got)
	}
}

// TestPythonPeers: shadowsocks-libev is the other end of either program.
func TestPythonPeers(t *testing.T) {
	t.Parallel()
	url := webPage(t)
	for _, method := range []string{"aes-256-cfb", "rc4-md5", "chacha20-ietf-poly1305"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			server, local := peer.FreePort(t), peer.FreePort(t)
			s := program(t, "ssserver", "-k", peer.Password, "-p"+strconv.Itoa(server), "-m", method, "--forbidden-ip", "")
			s.WaitOutput(t, "starting server at ")
			fetch(t, peer.SSLocal(t, method, server), url)
			l := program(t, "sslocal", "-s", "127.0.0.1", "-k", peer.Password, "-p", strconv.Itoa(peer.SSServer(t, method)), "-l", strconv.Itoa(local), "-m", method)
			l.WaitOutput(t, "starting local at ")
			fetch(t, local, url)
		})
	}
}

// TestPythonForbidden: loopback can't be reached unless the list is empty, by whatever address.
func TestPythonForbidden(t *testing.T) {
	t.Parallel()
	target := listenEcho(t)
	for _, tc := range []struct {
		name, flag string
		want       map[string]bool
	}{
		{"default", "-v", map[string]bool{"127.0.0.1": false, "localhost": false, "0.0.0.0": false, "127.9.9.9": false}},
		{"empty", "--forbidden-ip=", map[string]bool{"127.0.0.1": true, "localhost": true}},
		{"another", "--forbidden-ip=127.0.0.2/32", map[string]bool{"127.0.0.1": true, "127.0.0.2": false}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server, local := peer.FreePort(t), peer.FreePort(t)
			s := program(t, "ssserver", "-k", "secret", "-p", strconv.Itoa(server), "-v", tc.flag)
			s.WaitOutput(t, "starting server at ")
			program(t, "sslocal", "-s", "127.0.0.1", "-k", "secret", "-p", strconv.Itoa(server), "-l", strconv.Itoa(local)).WaitOutput(t, "starting local at ")
			for host, want := range tc.want {
				c, _ := dialSOCKS(t, local, 1, net.JoinHostPort(host, strconv.Itoa(target)))
				if !want { // the client hears nothing, as nobody does who is refused
					if _, err := io.WriteString(c, "x"); err != nil {
						t.Error(err)
					}
					s.WaitOutput(t, fmt.Sprintf("target=%s:%d err=\"denied by policy.forbidden", host, target))
					continue
				}
				_ = c.SetDeadline(time.Now().Add(patience))
				if err := echo(c, "x"); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
		})
	}
}

// TestPythonAutoban: what probes leave in a server's log is what umbra autoban and fail2ban look
// for, for methods with authentication too.
func TestPythonAutoban(t *testing.T) {
	t.Parallel()
	port := peer.FreePort(t)
	s := program(t, "ssserver", "-k", "secret", "-p", strconv.Itoa(port), "-m", "aes-256-gcm")
	s.WaitOutput(t, "starting server at ")
	for range 4 {
		c, err := net.Dial("tcp", peer.Addr(port))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		from := c.LocalAddr().String()
		s.WaitOutput(t, " ERROR    can not parse header when handling connection from "+from+"\n")
		c.Close()
	}
	path, env := programNamed(t, "umbra")
	cmd := exec.CommandContext(t.Context(), path, "autoban", "--dry-run", "--no-exempt-loopback")
	cmd.Env, cmd.Stdin = append(os.Environ(), env...), strings.NewReader(s.Output())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "127.0.0.1") {
		t.Errorf("got %s, %v, want 127.0.0.1 banned", out, err)
	}
}
