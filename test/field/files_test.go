package field

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/umbra-proxy/umbra/test/peer"
)

// folder is a folder of small files beside a configuration.
type folder struct {
	dir    string
	editor func(string) string // what an editor makes of a text
}

// put writes a text as the editor saves it, and returns the path.
func (f folder) put(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(f.editor(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Two keys of 16 bytes.
const (
	serverPSK = "MTIzNDU2Nzg5MDEyMzQ1Ng=="
	userPSK   = "YWJjZGVmZ2hpamtsbW5vcA=="
)

// serverTables is a server in TLS whose secrets, users, certificates, lists and hosts are
// in files of f. The target target.test is on this machine.
func (f folder) serverTables(t testing.TB, port int) string {
	cert, key := certificate(t)
	return fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "policy.acl", "resolver.hosts", "outbound.direct"]
[inbound.ss]
listen = %q
mode = "tcp"
cipher = "server"
transport = ["server"]
[cipher.server]
kind = "2022-blake3-aes-128-gcm"
password_file = %q
users_file = %q
[transport.server]
kind = "tls"
cert = %q
key = %q
[policy.acl]
default = "deny"
allow_users = ["file:%s"]
allow_targets = ["file:%s"]
allow_sources = ["file:%s"]
[resolver.hosts]
file = %q
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(port), f.put(t, "server.key", serverPSK+"\n"), f.put(t, "users.json", "{\n\"alice\": \""+userPSK+"\"\n}\n"),
		f.put(t, "cert.pem", cert), f.put(t, "key.pem", key), f.put(t, "users.txt", "alice\n"),
		f.put(t, "targets.txt", "target.test\n"), f.put(t, "sources.txt", "# this machine\n127.0.0.0/8\n"), f.put(t, "hosts", "127.0.0.1 target.test\n"))
}

// localTables is a SOCKS5 side with a hop through such a server. secret is the option with
// the password.
func (f folder) localTables(port, server int, secret string) string {
	return fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.ss"]
[inbound.socks5]
listen = %q
mode = "tcp"
[outbound.ss]
server = %q
cipher = "local"
transport = ["local"]
[cipher.local]
kind = "2022-blake3-aes-128-gcm"
%s
[transport.local]
kind = "tls"
ca = %q
server_name = "front.test"
`, peer.Addr(port), peer.Addr(server), secret, filepath.Join(f.dir, "cert.pem"))
}

// TestFilesOfEditors runs a server and a client with small files as editors and shells leave
// them: curl gets through.
func TestFilesOfEditors(t *testing.T) {
	curl := peer.Need(t, "curl")
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") }))
	t.Cleanup(target.Close)
	_, at, _ := net.SplitHostPort(target.Listener.Addr().String())
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	for name, editor := range map[string]func(string) string{
		"Unix":             func(s string) string { return s },
		"byte order mark":  func(s string) string { return "\ufeff" + s },
		"CRLF":             crlf,
		"Notepad":          func(s string) string { return "\ufeff" + crlf(s) },
		"no last line end": func(s string) string { return strings.TrimSuffix(s, "\n") },
		"half a line end":  func(s string) string { return strings.TrimSuffix(crlf(s), "\n") },
		"converted twice":  func(s string) string { return strings.ReplaceAll(s, "\n", "\r\r\n") },
	} {
		f := folder{t.TempDir(), editor}
		t.Run(name, func(t *testing.T) {
			variable := "UMBRA_TEST_" + strings.ToUpper(strings.ReplaceAll(name, " ", "_"))
			t.Setenv(variable, editor(serverPSK+":"+userPSK+"\n"))
			server := peer.FreePort(t)
			run(t, f.serverTables(t, server), server)
			for _, secret := range []string{
				fmt.Sprintf("password_file = %q", f.put(t, "local.key", serverPSK+":"+userPSK+"\n")),
				fmt.Sprintf("password_env = %q", variable),
			} {
				proxy := peer.FreePort(t)
				run(t, f.localTables(proxy, server, secret), proxy)
				out, err := exec.CommandContext(t.Context(), curl, "-sS", "-m", "15", "-x", "socks5h://"+peer.Addr(proxy), "http://target.test:"+at).CombinedOutput()
				if err != nil || string(out) != "served" {
					t.Errorf("%s: curl printed %q, %v, want it served", secret, out, err)
				}
			}
		})
	}
}

// TestFilesOfOthers checks a server with one small file that is no text: the message names
// the file, the line and the mend, and no secret.
func TestFilesOfOthers(t *testing.T) {
	t.Parallel()
	same := func(s string) string { return s }
	for _, name := range []string{"server.key", "users.json", "cert.pem", "key.pem", "users.txt", "targets.txt", "sources.txt", "hosts"} {
		for _, tc := range []struct {
			what, want string
			spoil      func(string) string
		}{
			{"UTF-16 with a mark", ":1: the file is UTF-16; save it as UTF-8", func(s string) string { return utf16LE("\ufeff" + s) }},
			{"UTF-16", ":1: the file is UTF-16; save it as UTF-8", utf16LE},
			{"NUL", ": a NUL byte; is this a text file in UTF-8?", func(s string) string { return s + "\x00" }},
			{"Latin-1", ": a byte that is not UTF-8; save the file as UTF-8", func(s string) string { return strings.TrimSuffix(s, "\n") + "\xfc\n" }},
			{"carriage return", ": a carriage return within the line", func(s string) string { return s[:3] + "\r" + s[3:] }},
		} {
			t.Run(name+"/"+tc.what, func(t *testing.T) {
				t.Parallel()
				f := folder{t.TempDir(), same}
				tables := f.serverTables(t, 1)
				path := filepath.Join(f.dir, name)
				text, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(path, []byte(tc.spoil(string(text))), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				out, status := check(t, f.put(t, "umbra.toml", tables))
				if status != 1 || !strings.Contains(out, path+":") || !strings.Contains(out, tc.want) || strings.Contains(out, serverPSK) || strings.Contains(out, userPSK) {
					t.Errorf("check printed %q, status %d, want %s and %q, no secret, status 1", out, status, path, tc.want)
				}
			})
		}
	}
}

// TestFilesThatAllMayRead checks files with secrets that every user of the machine may
// read: each has a warning of its own.
func TestFilesThatAllMayRead(t *testing.T) {
	t.Parallel()
	f := folder{t.TempDir(), func(s string) string { return s }}
	store := "\n[policy.ban]\nstore = \"redis://:secret@127.0.0.1:6379\"\n"
	tables := strings.Replace(f.serverTables(t, 1), `["inbound.ss"`, `["policy.ban", "inbound.ss"`, 1) + store
	file := f.put(t, "umbra.toml", tables)
	if out, status := check(t, file); status != 0 || strings.Contains(out, "may read") {
		t.Fatalf("check printed %q, status %d, want no warning of files that others may not read", out, status)
	}
	for _, name := range []string{"server.key", "users.json", "key.pem", "umbra.toml"} {
		if err := os.Chmod(filepath.Join(f.dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, status := check(t, file)
	for _, want := range []string{"server.key", "users.json", "key.pem", "policy.ban.store: every user of this machine may read this file"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("check printed %q, status %d, want a warning that contains %q", out, status, want)
		}
	}
}

// check runs umbra check and returns its output and exit status.
func check(t testing.TB, path string) (string, int) {
	t.Helper()
	return command(t, "check", path)
}

// command runs a command of umbra and returns its output and exit status.
func command(t testing.TB, words ...string) (string, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, words...)
	cmd.Env = append(os.Environ(), asUmbra+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// utf16LE returns a text in UTF-16, the low byte of each character first.
func utf16LE(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(unit))
		b.WriteByte(byte(unit >> 8))
	}
	return b.String()
}

// certificate returns a self-signed certificate for front.test and its key, in PEM.
func certificate(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front.test"}, DNSNames: []string{"front.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}
