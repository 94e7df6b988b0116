package peer

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// SSHD is OpenSSH's server on a loopback port, with keys and a configuration of its own. It
// lets the user who runs the test in, by Key.
type SSHD struct {
	Port       int
	User       string
	Key        string // path of the user's private key; the public one has .pub
	HostKey    string // path of the server's private key of type ed25519, likewise
	KnownHosts string // path of a file with that key

	config  string
	process *Process
}

// SSHServer runs OpenSSH's server with further lines of its configuration.
func SSHServer(t testing.TB, lines ...string) *SSHD {
	t.Helper()
	program, dir := Need(t, "sshd"), t.TempDir()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // the folder of its unprivileged part, which a start script makes
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &SSHD{
		Port: FreePort(t), User: me.Username, Key: filepath.Join(dir, "id_ed25519"), HostKey: filepath.Join(dir, "host_ed25519"),
		KnownHosts: filepath.Join(dir, "known_hosts"), config: filepath.Join(dir, "sshd_config"),
	}
	SSHKey(t, s.Key, "ed25519", "")
	SSHKey(t, s.HostKey, "ed25519", "")
	s.write(t, s.KnownHosts, fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, SSHPublicKey(t, s.HostKey)))
	s.write(t, filepath.Join(dir, "authorized_keys"), SSHPublicKey(t, s.Key))
	s.write(t, s.config, strings.Join(append(lines,
		"ListenAddress 127.0.0.1:"+strconv.Itoa(s.Port), "HostKey "+s.HostKey,
		"AuthorizedKeysFile "+filepath.Join(dir, "authorized_keys"), "StrictModes no", "PermitRootLogin yes",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "PidFile none", "MaxStartups 1000",
		"LogLevel VERBOSE"), "\n"))
	s.start(t, program)
	return s
}

func (s *SSHD) start(t testing.TB, program string) {
	t.Helper()
	s.process = Start(t, nil, program, "-D", "-e", "-f", s.config)
	t.Cleanup(func() { s.Kill(t) }) // with its connections, which hold its output
	s.process.WaitOutput(t, "Server listening")
}

// Addr returns the address of the server.
func (s *SSHD) Addr() string { return Addr(s.Port) }

// Output returns what the server has logged.
func (s *SSHD) Output() string { return s.process.Output() }

// WaitOutput waits until the server has logged text.
func (s *SSHD) WaitOutput(t testing.TB, text string) {
	t.Helper()
	s.process.WaitOutput(t, text)
}

// Authorize lets the owner of a further key in.
func (s *SSHD) Authorize(t testing.TB, key string) {
	t.Helper()
	path := filepath.Join(filepath.Dir(s.config), "authorized_keys")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, path, string(text)+SSHPublicKey(t, key))
}

// Kill kills the server and the processes of its connections.
func (s *SSHD) Kill(t testing.TB) {
	t.Helper()
	for _, pid := range append(children(s.process.Cmd.Process.Pid), s.process.Cmd.Process.Pid) {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill() // it may have ended
		}
	}
	s.process.Stop()
}

// Connections returns how many connections the server has.
func (s *SSHD) Connections() int {
	n := 0
	for _, pid := range children(s.process.Cmd.Process.Pid) {
		parent, _ := parentOf(pid)
		if parent == s.process.Cmd.Process.Pid {
			n++
		}
	}
	return n
}

// Restart starts the server again after Kill.
func (s *SSHD) Restart(t testing.TB) {
	t.Helper()
	s.start(t, Need(t, "sshd"))
}

// Children returns all processes below this one, by /proc.
func (p *Process) Children() []int { return children(p.Cmd.Process.Pid) }

// children returns all processes below one, by /proc.
func children(root int) []int {
	parents := map[int]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if parent, ok := parentOf(pid); ok {
				parents[pid] = parent
			}
		}
	}
	var all []int
	for pid := range parents {
		for at := parents[pid]; at > 1; at = parents[at] {
			if at == root {
				all = append(all, pid)
				break
			}
		}
	}
	return all
}

// parentOf returns the parent of a process that has not ended.
func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	_, after, _ := strings.Cut(string(stat), ") ") // behind the name, which may have anything in it
	fields := strings.Fields(after)
	if len(fields) < 2 || fields[0] == "Z" {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}

func (s *SSHD) write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// SSHKey makes a pair of keys by ssh-keygen at path and path.pub.
func SSHKey(t testing.TB, path, keyType, passphrase string) {
	t.Helper()
	out, err := exec.Command(Need(t, "ssh-keygen"), "-q", "-t", keyType, "-N", passphrase, "-C", "test", "-f", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
}

// SSHPublicKey returns the line of the public key to the private one at path.
func SSHPublicKey(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
