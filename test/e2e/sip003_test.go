//go:build unix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// plug puts a plugin under a table of a file; keys are those of the transport.
func plug(file, table, mode, keys string) string {
	file = with(file, table, "transport = [\"plugin\"]")
	if mode != "" {
		file = regexp.MustCompile(`\[inbound\.\w+\]\n`).ReplaceAllString(file, "${0}mode = \""+mode+"\"\n")
	}
	return file + "[transport.plugin]\nkind = \"sip003\"\n" + keys
}

func plugKeys(plugin, options string) string {
	return fmt.Sprintf("plugin = %q\noptions = %q\n", plugin, options)
}

// TestPlugins carries Shadowsocks by the plugins of Debian, with shadowsocks-libev at either
// end and between two umbras.
func TestPlugins(t *testing.T) {
	for _, tc := range []struct {
		name                        string
		server, local               string // programs
		serverOptions, localOptions string
	}{
		{"v2ray", "ss-v2ray-plugin", "ss-v2ray-plugin", "server;path=/a", "path=/a"},
		{"obfs-http", "obfs-server", "obfs-local", "obfs=http", "obfs=http;obfs-host=www.example.com"},
		{"obfs-tls", "obfs-server", "obfs-local", "obfs=tls", "obfs=tls;obfs-host=www.example.com"},
	} {
		server := func(t testing.TB) int {
			port := peer.FreePort(t)
			run(t, plug(serverFile(port, method), "[inbound.ss]", "tcp", plugKeys(tc.server, tc.serverOptions)), port)
			return port
		}
		local := func(t testing.TB, server int) int {
			port := peer.FreePort(t)
			run(t, plug(localFile(port, method, server), "[outbound.hop0]", "tcp", plugKeys(tc.local, tc.localOptions)), port)
			return port
		}
		libevServer := func(t testing.TB) int {
			port := peer.FreePort(t)
			p := peer.Start(t, nil, peer.Need(t, "ss-server"), "-s", "127.0.0.1", "-p", strconv.Itoa(port), "-k", peer.Password, "-m", method,
				"--plugin", tc.server, "--plugin-opts", tc.serverOptions)
			p.WaitListen(t, port)
			return port
		}
		libevLocal := func(t testing.TB, server int) int {
			port := peer.FreePort(t)
			p := peer.Start(t, nil, peer.Need(t, "ss-local"), "-s", "127.0.0.1", "-p", strconv.Itoa(server), "-l", strconv.Itoa(port), "-k", peer.Password, "-m", method,
				"--plugin", tc.local, "--plugin-opts", tc.localOptions)
			p.WaitListen(t, port)
			return port
		}
		for name, proxy := range map[string]func(t testing.TB) int{
			"umbra":        func(t testing.TB) int { return local(t, server(t)) },
			"libev server": func(t testing.TB) int { return local(t, libevServer(t)) },
			"libev client": func(t testing.TB) int { return libevLocal(t, server(t)) },
		} {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				peer.Need(t, tc.server)
				peer.Need(t, tc.local)
				port := proxy(t)
				site := newWeb(t)
				await(t, "an answer", func() bool { // both plugins listen; none of them can half-close
					_, err := curl(t, port, site.URL+"/file/1")
					return err == nil
				})
				moveFiles(t, port, 0, 1, 16384, 3_000_000)
			})
		}
	}
}

// plugged runs a server and a local side with plugins of the test's own, which carry UDP too.
func runPlugged(t *testing.T) (server, local *peer.Process, serverPath, record string, port int) {
	t.Helper()
	dir := t.TempDir()
	at, port := peer.FreePort(t), peer.FreePort(t)
	keys := func(role, record string) string {
		return plugKeys(self(t), role+";"+record) + fmt.Sprintf("arguments = [%q]\nmode = \"both\"\n", asPlugin)
	}
	record = filepath.Join(dir, "environment")
	serverPath = write(t, "server.toml", plug(serverFile(at, method), "[inbound.ss]", "", keys("server", "")))
	t.Setenv("UMBRA_TEST_SECRET", "of umbra alone")
	server = runAt(t, serverPath, at)
	server.WaitPackets(t, at)
	local = runAt(t, write(t, "local.toml", plug(localFile(port, method, at), "[outbound.hop0]", "", keys("client", record))), port)
	local.WaitOutput(t, "plugin started")
	return server, local, serverPath, record, port
}

// pluginOf returns the one plugin of umbra.
func pluginOf(t testing.TB, p *peer.Process) int {
	t.Helper()
	var all []int
	await(t, "a plugin", func() bool { all = p.Children(); return len(all) == 1 })
	return all[0]
}

// TestPluginPackets carries UDP by a plugin, and has a look at what the plugin is told.
func TestPluginPackets(t *testing.T) {
	server, local, _, record, port := runPlugged(t)
	echoTarget := newEcho(t, "127.0.0.1")
	a := associate(t, port)
	defer a.Close()
	await(t, "an answer by UDP", func() bool { // datagrams are lost until both plugins listen
		a.send(t, echoTarget.addr, "hello")
		_ = a.SetReadDeadline(soon())
		b := make([]byte, 100)
		n, _, err := a.ReadFrom(b)
		return err == nil && string(b[:n]) == "hello"
	})
	moveFiles(t, port, 1, 100_000)
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, "=")
		known := strings.HasPrefix(name, "SS_") || slices.Contains([]string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "GODEBUG", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}, name)
		if !known {
			t.Errorf("the plugin is told %s", name)
		}
	}
	for _, p := range []*peer.Process{server, local} {
		plugin := pluginOf(t, p)
		p.Signal(t, syscall.SIGTERM)
		if status := p.Wait(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
		awaitGone(t, plugin)
	}
}

func awaitGone(t testing.TB, pid int) {
	t.Helper()
	await(t, "the end of the plugin", func() bool { return syscall.Kill(pid, 0) != nil })
}

// TestPluginDies kills plugins while connections run through them: these end, later ones go
// through the next plugin, and umbra says what happened.
func TestPluginDies(t *testing.T) {
	server, local, _, _, port := runPlugged(t)
	target := newGreeter(t, "first")
	for _, p := range []*peer.Process{server, local} {
		await(t, "an answer", func() bool { return echoOnce(port, target.addr) == nil })
		c := dialSOCKS(t, port, target.addr)
		expect(t, c, "first\n")
		before := pluginOf(t, p)
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the connection goes on without its plugin")
		}
		p.WaitOutput(t, `the plugin has ended and is started again`)
		await(t, "another plugin", func() bool { all := p.Children(); return len(all) == 1 && all[0] != before })
		await(t, "an answer", func() bool { return echoOnce(port, target.addr) == nil })
	}
}

// TestPluginReload: a reload leaves a plugin alone, unless its options change.
func TestPluginReload(t *testing.T) {
	server, _, path, _, port := runPlugged(t)
	target := newGreeter(t, "first")
	await(t, "an answer", func() bool { return echoOnce(port, target.addr) == nil })
	c := dialSOCKS(t, port, target.addr)
	expect(t, c, "first\n")
	before := pluginOf(t, server)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(with(string(file), "[inbound.ss]", "max_handshakes = 77")), 0o600); err != nil {
		t.Fatal(err)
	}
	server.Signal(t, syscall.SIGHUP)
	server.WaitOutput(t, "reloaded")
	if after := pluginOf(t, server); after != before {
		t.Errorf("the plugin %d has become %d", before, after)
	}
	echo(t, c, "still here")
	if err := os.WriteFile(path, []byte(strings.Replace(string(file), `"server;"`, `"server"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	server.Signal(t, syscall.SIGHUP)
	await(t, "another plugin", func() bool { all := server.Children(); return len(all) == 1 && all[0] != before })
	await(t, "an answer", func() bool { return echoOnce(port, target.addr) == nil })
}

// TestPluginOfKilled: the plugin of an umbra that was killed ends.
func TestPluginOfKilled(t *testing.T) {
	server, _, _, _, _ := runPlugged(t)
	plugin := pluginOf(t, server)
	server.Signal(t, syscall.SIGKILL)
	awaitGone(t, plugin)
}

// TestPluginMissing is a mistake in the file.
func TestPluginMissing(t *testing.T) {
	p := peer.Start(t, []string{asUmbra + "=1"}, self(t), "check", write(t, "a.toml", plug(serverFile(1, method), "[inbound.ss]", "tcp", plugKeys("no-such-plugin", ""))))
	if status := p.Wait(t); status != 1 || !strings.Contains(p.Output(), `transport.plugin.plugin: "no-such-plugin" is not found; install the plugin, or write its path`) {
		t.Errorf("exit status %d:\n%s", status, p.Output())
	}
}
