//go:build unix

package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// nobody is the user and group without rights on every Debian machine.
const nobody = 65534

// asNobody runs umbra as an unprivileged user and returns its output and exit status. If the test is not
// run by root, umbra runs as the same user.
func asNobody(t *testing.T, dir string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "umbra"), args...)
	cmd.Env = append(os.Environ(), asUmbra+"=1")
	cmd.Dir = dir
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// openFolder returns a folder that every user may enter, with the program in it.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "umbra-user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(dir, "umbra"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// saveAs writes a file with a mode to dir.
func saveAs(t *testing.T, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUnreadable checks that the error contains the file and the key if the user may not read a file that is
// needed, or the configuration file.
func TestUnreadable(t *testing.T) {
	dir := openFolder(t)
	secret := saveAs(t, dir, "secret", "a long enough password\n", 0o000)
	file := strings.Replace(serverFile(peer.FreePort(t), method), fmt.Sprintf("password = %q", peer.Password), fmt.Sprintf("password_file = %q", secret), 1)
	config := saveAs(t, dir, "server.toml", file, 0o644)
	out, status := asNobody(t, dir, "check", config)
	if want := "cipher.house.password_file: read " + secret + ": permission denied"; status != 1 || !strings.Contains(out, want) {
		t.Errorf("check: status %d and\n%s\nwant 1 and %q", status, out, want)
	}
	if err := os.Chmod(config, 0o000); err != nil {
		t.Fatal(err)
	}
	out, status = asNobody(t, dir, "run", config)
	if want := "read " + config + ": permission denied"; status != 1 || !strings.Contains(out, want) {
		t.Errorf("run: status %d and\n%s\nwant 1 and %q", status, out, want)
	}
}

// TestLowPort checks that the error contains the port if the user may not listen on it.
func TestLowPort(t *testing.T) {
	first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err == nil && strings.TrimSpace(string(first)) == "0" {
		t.Skip("this kernel lets every user listen on every port")
	}
	dir := openFolder(t)
	config := saveAs(t, dir, "server.toml", serverFile(1, method), 0o644)
	out, status := asNobody(t, dir, "run", config)
	if want := "inbound.ss.listen: listen on 127.0.0.1:1: bind: permission denied"; status != 1 || !strings.Contains(out, want) {
		t.Errorf("status %d and\n%s\nwant 1 and %q", status, out, want)
	}
}
