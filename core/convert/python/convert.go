package python

import (
	"fmt"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/dropin"
)

// Convert translates a file of the original. The same file may be that of the local side and
// of the server: it is a server's if it has a key that only a server reads, or listens on all
// addresses, and that of the local side otherwise. ConvertAs knows.
func Convert(reg *core.Registry, data []byte) (*convert.Document, *convert.Report, error) {
	c := Default()
	if _, err := c.ReadJSON(data); err != nil {
		return nil, nil, err
	}
	role := dropin.Local
	if slices.ContainsFunc([]string{"port_password", "manager_address", "forbidden_ip", "workers", "dns_server", "prefer_ipv6"}, c.Has) ||
		len(c.Server) == 0 || slices.ContainsFunc(c.Server, func(s string) bool { return s == "0.0.0.0" || s == "::" }) {
		role = dropin.Server
	}
	return ConvertAs(reg, data, role)
}

// ConvertAs translates a file of the original as that of the local side or of the server.
func ConvertAs(reg *core.Registry, data []byte, role dropin.Role) (*convert.Document, *convert.Report, error) {
	call := &Call{Program: dropin.Program{Style: dropin.Python, Role: role}, Config: Default(), File: "the file"}
	unknown, err := call.ReadJSON(data)
	if err != nil {
		return nil, nil, err
	}
	if call.Daemon == "stop" {
		call.Daemon = ""
	}
	if err := call.check(); err != nil {
		return nil, nil, err
	}
	doc, err := call.Translate(reg, role)
	if err != nil {
		return nil, nil, err
	}
	r := &convert.Report{}
	for _, key := range call.given {
		call.note(r, key)
	}
	for _, key := range unknown {
		r.Drop(key, "the original has no such key")
	}
	doc.Say("From a configuration of the Python original, as that of the %s side.", role)
	return doc, r, nil
}

// note reports what became of a key.
func (c *Call) note(r *convert.Report, key string) {
	server, ports := c.Role == dropin.Server, len(c.PortPassword) > 0
	onlyFor := func(here bool, where string, args ...any) {
		if here {
			r.Keep(key, where, args...)
			return
		}
		r.Drop(key, "the %s side does not read it", c.Role)
	}
	switch key {
	case "server":
		if server {
			r.Keep(key, "listen of each inbound")
			return
		}
		r.Keep(key, "server of each outbound of kind ss")
	case "server_port", "password":
		if server && ports {
			r.Drop(key, "port_password takes its place")
			return
		}
		r.Keep(key, map[string]string{"server_port": "the port of each server or inbound", "password": "password of each cipher"}[key])
	case "port_password":
		onlyFor(server, "an inbound and a cipher for each port")
	case "local_address", "local_port":
		onlyFor(!server, "[inbound.local] listen")
	case "method":
		r.Keep(key, "kind of each cipher")
	case "timeout":
		r.Keep(key, "idle_timeout of each pipeline")
	case "fast_open":
		switch {
		case !c.FastOpen:
			r.Keep(key, "the default")
		default:
			r.Change(key, "fast_open of what is dialled; clients are accepted without it")
		}
	case "workers":
		r.Drop(key, "one process uses all processors")
	case "verbose":
		r.Keep(key, "[log] level")
	case "one_time_auth":
		r.Keep(key, "off, there is none")
	case "forbidden_ip":
		onlyFor(server, "[policy.forbidden] deny_targets; with loopback the unspecified addresses, which lead there")
	case "manager_address":
		onlyFor(server, "[manager] listen")
	case "prefer_ipv6":
		onlyFor(server, "[resolver.names] prefer")
	case "dns_server":
		onlyFor(server, "[resolver.names] servers")
	case "libopenssl", "libmbedtls", "libsodium":
		r.Drop(key, "no library is needed")
	case "tunnel_remote", "tunnel_remote_port", "tunnel_port":
		if c.Role == dropin.Tunnel {
			r.Keep(key, "[inbound.local]")
			return
		}
		r.Drop(key, "sstunnel reads it alone: umbra local --tunnel --print-toml")
	case "user", "daemon", "pid-file":
		r.Drop(key, "what starts the service says it: a unit of systemd, or umbra %s", c.Role)
	case "log-file":
		if c.Background() {
			r.Keep(key, "[log] output")
			return
		}
		r.Drop(key, "holds in the background alone; here [log] output would say it")
	default:
		panic(fmt.Sprint("python: no note for ", key))
	}
}
