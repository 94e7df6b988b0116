package peer

import (
	"strconv"
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
	p.WaitListen(t, port)
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
	return port
}
