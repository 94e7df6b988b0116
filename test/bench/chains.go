//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	password = "correct horse battery staple"
	host     = "127.0.0.1"
)

// chain describes how one client and one server are started.
type chain struct {
	name          string
	local, server func(o options, dir string, socks, ss int) (*exec.Cmd, error)
}

// chains returns umbra's chain, the same with somebody who watches it, and the chain of the
// peer.
func chains() []chain {
	return []chain{
		{name: "umbra", local: umbraLocal, server: umbraServer},
		{name: "watched", local: watched(umbraLocal), server: watched(umbraServer)},
		{name: "libev", local: libev("ss-local"), server: libev("ss-server")},
	}
}

// choose returns the chains in a comma-separated list of names, in the order of chains.
func choose(list string) ([]chain, error) {
	names := strings.Split(list, ",")
	chosen := slices.DeleteFunc(chains(), func(c chain) bool { return !slices.Contains(names, c.name) })
	if len(chosen) != len(names) {
		return nil, fmt.Errorf("chains: %q does not name one or more of umbra, watched and libev", list)
	}
	return chosen, nil
}

func umbraLocal(o options, dir string, socks, ss int) (*exec.Cmd, error) {
	return umbra(o, filepath.Join(dir, "local.toml"), fmt.Sprintf(`
[log]
level = "error"
[pipeline.local]
chain = ["inbound.socks5", "outbound.ss"]
[inbound.socks5]
listen = "%s:%d"
[outbound.ss]
server = "%s:%d"
cipher = "bench"
`, host, socks, host, ss))
}

func umbraServer(o options, dir string, _, ss int) (*exec.Cmd, error) {
	return umbra(o, filepath.Join(dir, "server.toml"), fmt.Sprintf(`
[log]
level = "error"
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = "%s:%d"
cipher = "bench"
[outbound.direct]
allow = ["127.0.0.0/8"]
`, host, ss))
}

// watched returns the command line of umbra with both doors of [admin] open.
func watched(plain func(options, string, int, int) (*exec.Cmd, error)) func(options, string, int, int) (*exec.Cmd, error) {
	return func(o options, dir string, socks, ss int) (*exec.Cmd, error) {
		o.admin = true
		return plain(o, dir, socks, ss)
	}
}

func umbra(o options, path, file string) (*exec.Cmd, error) {
	file += fmt.Sprintf("[cipher.bench]\nkind = %q\npassword = %q\n", o.method, password)
	if o.admin {
		file += fmt.Sprintf("[admin]\nweb = \"%s:0\"\nsocket = %q\n", host, strings.TrimSuffix(path, ".toml")+socketEnd)
	}
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		return nil, err
	}
	return exec.Command(o.umbra, "run", path), nil
}

// libev returns the command line of a program of shadowsocks-libev.
func libev(program string) func(options, string, int, int) (*exec.Cmd, error) {
	return func(o options, _ string, socks, ss int) (*exec.Cmd, error) {
		args := []string{"-s", host, "-p", fmt.Sprint(ss), "-k", password, "-m", o.method, "-u"}
		if program == "ss-local" {
			args = append(args, "-b", host, "-l", fmt.Sprint(socks))
		}
		return exec.Command(program, args...), nil
	}
}
