package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// MemoryGroup makes a control group with a limit of memory in bytes, and returns the file to
// which a process writes its number to enter. It returns "" where no group can be made.
func MemoryGroup(t testing.TB, limit int) string {
	t.Helper()
	for _, version := range []struct{ root, file string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, // version 1
		{"/sys/fs/cgroup", "memory.max"},                   // version 2
	} {
		group := filepath.Join(version.root, fmt.Sprintf("umbra-test-%d", os.Getpid()))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(group) }) // runs after the process has ended
		file, err := os.OpenFile(filepath.Join(group, version.file), os.O_WRONLY, 0)
		if err != nil { // a folder, but no control group of memory
			continue
		}
		_, err = file.WriteString(strconv.Itoa(limit))
		if file.Close() == nil && err == nil {
			return filepath.Join(group, "cgroup.procs")
		}
	}
	return ""
}

// Resident returns how many bytes of memory the program has now, and had at most.
func (p *Process) Resident(t testing.TB) (now, most int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		var kib int
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			continue
		}
		switch name {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			most = kib << 10
		}
	}
	return now, most
}
