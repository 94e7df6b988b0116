// Package rust makes configurations of umbra out of what the programs of shadowsocks-rust
// are given: flags, a file of JSON5 and ACL files.
package rust

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/dropin"
)

// Input is what a program was given.
type Input struct {
	Role   dropin.Role
	Flags  []convert.Flag
	Config []byte // the file of -c; nil for none
}

// Launch is what does not stand in a configuration: what becomes of the process.
type Launch struct {
	User       string
	Background bool
	PIDFile    string
}

// Result is a translation.
type Result struct {
	Document convert.Document
	Report   convert.Report
	Launch   Launch
}

// keyOf are the keys that flags stand for, where they are not the flag's name.
var keyOf = map[string]string{
	"-k": "password", "-m": "method", "--encrypt-method": "method", "-n": "nofile", "-a": "user", "-v": "verbose", "-6": "ipv6_first",
	"-d": "daemonize", "--tcp-no-delay": "no_delay", "--tcp-fast-open": "fast_open", "--tcp-keep-alive": "keep_alive", "--tcp-multipath": "mptcp",
	"--bind-addr": "outbound_bind_addr", "--plugin-opts": "plugin_opts",
}

// addresses are the flags whose value is a host with a port, and the keys of both.
func addresses(said string, role dropin.Role) (host, port string) {
	switch said {
	case "-s", "--server-addr":
		return "server", "server_port"
	case "-f", "--forward-addr":
		return "forward_address", "forward_port"
	case "--local-dns-addr":
		return "local_dns_address", "local_dns_port"
	case "--remote-dns-addr":
		return "remote_dns_address", "remote_dns_port"
	case "--dns-addr":
		return "local_address", "local_port"
	case "--manager-addr", "--manager-address":
		return "manager_address", "manager_port"
	case "-b", "--local-addr":
		if role == dropin.Local {
			return "local_address", "local_port"
		}
	}
	return "", ""
}

// flag takes over a flag, which goes before the file.
func (t *translation) flag(f convert.Flag) {
	set := func(key string, value any) {
		if t.has(key) && t.said[key] == "" {
			t.report.Drop(key, "the flag %s says it", f.Said)
		}
		t.set(key, value)
		t.said[key] = f.Said
	}
	switch f.Said {
	case "-u":
		set("mode", "udp_only")
		return
	case "-U":
		set("mode", "tcp_and_udp")
		return
	case "--server-url":
		t.fail(errors.New("--server-url: umbra run LINK runs a link; a list of servers stands in a file"))
		return
	case "--server-host":
		set("server", f.Value)
		return
	}
	if f.Said == "-s" && t.role == dropin.Manager {
		set("server", f.Value)
		return
	}
	if hostKey, portKey := addresses(f.Said, t.role); hostKey != "" {
		if hostKey == "manager_address" && strings.Contains(f.Value, "/") {
			set(hostKey, f.Value)
			return
		}
		host, port, err := net.SplitHostPort(f.Value)
		if err != nil {
			t.fail(convert.UsageError{Err: fmt.Errorf("%s: want HOST:PORT, got %.60q", f.Said, f.Value)})
		}
		if list := map[string]string{"server": "servers", "local_address": "locals"}[hostKey]; t.has(list) {
			t.drop(list, "the flag %s says it", f.Said)
			delete(t.values, list)
		}
		set(hostKey, host)
		set(portKey, port)
		t.noted[portKey] = true // one flag, one line
		return
	}
	key := keyOf[f.Said]
	if f.Said == "-b" {
		key = "outbound_bind_addr"
	}
	if key == "" {
		key = strings.ReplaceAll(strings.TrimLeft(f.Said, "-"), "-", "_")
	}
	if f.Bare {
		set(key, true)
		return
	}
	set(key, f.Value)
}

// Convert makes a configuration of a file of rust. One with locals or a local port is a local
// side's, and one with a manager's address that of ssmanager.
func Convert(reg *core.Registry, data []byte) (*convert.Document, *convert.Report, error) {
	fields, err := convert.Fields(convert.Strict(data, true))
	if err != nil {
		return nil, nil, err
	}
	role := dropin.Server
	for _, f := range fields {
		switch f.Key {
		case "locals", "local_port", "local_address":
			role = dropin.Local
		case "manager_address":
			role = dropin.Manager
		}
	}
	r, err := Translate(reg, Input{Role: role, Config: data})
	if err != nil {
		return nil, nil, err
	}
	r.Document.Say("made of a file of shadowsocks-rust, as ss%s reads it", role)
	return &r.Document, &r.Report, nil
}

func sorted(values map[string]any) []string { return slices.Sorted(maps.Keys(values)) }
