package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// V2RayServer runs ss-server behind v2ray-plugin in its websocket mode, and returns the port of
// the plugin. options are those of the plugin, such as "path=/ws;mux=0":
// without "mux=0" on both sides the plugin carries a protocol of its own.
func V2RayServer(t testing.TB, method, options string) int {
	t.Helper()
	port := FreePort(t)
	p := Start(t, nil, Need(t, "ss-server"), "-s", "127.0.0.1", "-p", strconv.Itoa(port), "-k", Password, "-m", method,
		"--plugin", Need(t, "ss-v2ray-plugin"), "--plugin-opts", "server;"+options)
	p.WaitListen(t, port) // the plugin
	p.Until(t, "listen behind its plugin", func() bool { return listens(p.Cmd.Process.Pid) })
	return port
}

// V2RayLocal runs ss-local behind v2ray-plugin against a server, and returns the port of its
// SOCKS5 side. See V2RayServer for options.
func V2RayLocal(t testing.TB, method string, server int, options string) int {
	t.Helper()
	port := FreePort(t)
	p := Start(t, nil, Need(t, "ss-local"), "-s", "127.0.0.1", "-p", strconv.Itoa(server),
		"-b", "127.0.0.1", "-l", strconv.Itoa(port), "-k", Password, "-m", method,
		"--plugin", Need(t, "ss-v2ray-plugin"), "--plugin-opts", options)
	p.WaitListen(t, port)
	p.Until(t, "run a plugin that listens", func() bool {
		for _, pid := range children(p.Cmd.Process.Pid) {
			if listens(pid) {
				return true
			}
		}
		return false
	})
	return port
}

// listens reports whether a process listens on TCP, as far as /proc tells.
func listens(pid int) bool {
	const listening = "0A" // TCP_LISTEN, as in /proc/net/tcp
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(table) // a machine without IPv6 has no second one
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 9 && fields[3] == listening {
				inodes["socket:["+fields[9]+"]"] = true
			}
		}
	}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && inodes[to] {
			return true
		}
	}
	return false
}
