package peer

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TakesPackets reports whether a socket of this machine is bound to a UDP port. It reads Linux's
// /proc, because UDP does not report to a sender whether a socket is bound.
func TakesPackets(port int) bool {
	at := fmt.Sprintf(":%04X", port)
	for _, name := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		table, _ := os.ReadFile(name) // missing without IPv6
		for line := range strings.Lines(string(table)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasSuffix(fields[1], at) {
				return true
			}
		}
	}
	return false
}

// WaitPackets waits until a socket is bound to a UDP port, so that datagrams to it are not lost.
func (p *Process) WaitPackets(t testing.TB, port int) {
	t.Helper()
	p.Until(t, "take UDP on "+Addr(port), func() bool { return TakesPackets(port) })
}

// WaitNoPackets waits until no socket is bound to a UDP port.
func (p *Process) WaitNoPackets(t testing.TB, port int) {
	t.Helper()
	p.Until(t, "free the UDP port "+Addr(port), func() bool { return !TakesPackets(port) })
}

// Descriptors returns the number of open descriptors of the program.
func (p *Process) Descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
