package peer

import (
	"strconv"
	"testing"
)

// Password is what the peers of tests share.
const Password = "correct horse battery staple"

// SSServer runs shadowsocks-libev's ss-server with a method and returns its
// port.
func SSServer(t testing.TB, method string) int {
	t.Helper()
	port := FreePort(t)
	p := Start(t, nil, Need(t, "ss-server"), "-s", "127.0.0.1", "-p", strconv.Itoa(port), "-k", Password, "-m", method)
	p.WaitListen(t, port)
	return port
}

// SSLocal runs shadowsocks-libev's ss-local against a server and returns the
// port of its SOCKS5 side.
func SSLocal(t testing.TB, method string, server int) int {
	t.Helper()
	port := FreePort(t)
	p := Start(t, nil, Need(t, "ss-local"), "-s", "127.0.0.1", "-p", strconv.Itoa(server),
		"-b", "127.0.0.1", "-l", strconv.Itoa(port), "-k", Password, "-m", method)
	p.WaitListen(t, port)
	return port
}
