package peer

import (
	"strconv"
	"testing"
)

// Password is the password of all peers in tests.
const Password = "correct horse battery staple"

// SSServer runs shadowsocks-libev's ss-server with a method, for TCP and UDP,
// and returns its port.
func SSServer(t testing.TB, method string) int {
	t.Helper()
	port := FreePort(t)
	p := Start(t, nil, Need(t, "ss-server"), "-u", "-s", "127.0.0.1", "-p", strconv.Itoa(port), "-k", Password, "-m", method)
	p.WaitListen(t, port)
	p.WaitPackets(t, port)
	return port
}

// SSLocal runs shadowsocks-libev's ss-local against a server, for TCP and UDP,
// and returns the port of its SOCKS5 side.
func SSLocal(t testing.TB, method string, server int) int {
	t.Helper()
	return libevClient(t, "ss-local", method, server)
}

// SSTunnel runs shadowsocks-libev's ss-tunnel against a server and returns a port that forwards
// TCP and UDP to target, "host:port".
func SSTunnel(t testing.TB, method string, server int, target string) int {
	t.Helper()
	return libevClient(t, "ss-tunnel", method, server, "-L", target)
}

// libevClient runs a client of shadowsocks-libev and returns its local port.
func libevClient(t testing.TB, program, method string, server int, more ...string) int {
	t.Helper()
	port := FreePort(t)
	args := append([]string{"-u", "-s", "127.0.0.1", "-p", strconv.Itoa(server),
		"-b", "127.0.0.1", "-l", strconv.Itoa(port), "-k", Password, "-m", method}, more...)
	p := Start(t, nil, Need(t, program), args...)
	p.WaitListen(t, port)
	p.WaitPackets(t, port)
	return port
}
