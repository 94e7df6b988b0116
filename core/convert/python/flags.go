package python

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/umbra-proxy/umbra/core/dropin"
)

// flag is a flag with the key of the file that it replaces.
type flag struct {
	dropin.Flag
	key  string
	only dropin.Role // "" for all
}

// flags returns the flags of all programs of the family.
func flags() []flag {
	return []flag{
		{dropin.Flag{Short: 'c', Value: "FILE", Help: "path of the JSON file; else config.json here, if it is there"}, "", ""},
		{dropin.Flag{Short: 's', Value: "ADDR", Help: "the server's address; a server listens on it: 0.0.0.0"}, "server", ""},
		{dropin.Flag{Short: 'p', Value: "PORT", Help: "the server's port: 8388"}, "server_port", ""},
		{dropin.Flag{Short: 'b', Value: "ADDR", Help: "the address to listen on: 127.0.0.1"}, "local_address", dropin.Local},
		{dropin.Flag{Short: 'l', Value: "PORT", Help: "the port to listen on: 1080"}, "local_port", dropin.Local},
		{dropin.Flag{Short: 'k', Value: "PASSWORD", Help: "the password"}, "password", ""},
		{dropin.Flag{Short: 'm', Value: "METHOD", Help: "the encryption method: aes-256-cfb; better chacha20-ietf-poly1305"}, "method", ""},
		{dropin.Flag{Short: 't', Value: "SECONDS", Help: "how long a connection may be idle: 300"}, "timeout", ""},
		{dropin.Flag{Short: 'a', Help: "one-time auth: refused, AEAD methods are in its place"}, "one_time_auth", ""},
		{dropin.Flag{Long: "fast-open", Help: "TCP Fast Open for what is dialled (Linux)"}, "fast_open", ""},
		{dropin.Flag{Long: "workers", Value: "N", Help: "a hint: one process uses all processors"}, "workers", dropin.Server},
		{dropin.Flag{Long: "forbidden-ip", Value: "LIST", Help: "ranges that clients may not reach, with commas:\n127.0.0.0/8,::1/128; empty: none"}, "forbidden_ip", dropin.Server},
		{dropin.Flag{Long: "manager-address", Value: "ADDR", Help: "where ports are added and removed: HOST:PORT or a\nUnix socket"}, "manager_address", dropin.Server},
		{dropin.Flag{Long: "prefer-ipv6", Help: "names lead to their IPv6 addresses first"}, "prefer_ipv6", dropin.Server},
		{dropin.Flag{Long: "libopenssl", Value: "PATH", Help: "needed no more: a path must exist"}, "libopenssl", ""},
		{dropin.Flag{Long: "libmbedtls", Value: "PATH", Help: "as above"}, "libmbedtls", ""},
		{dropin.Flag{Long: "libsodium", Value: "PATH", Help: "as above"}, "libsodium", ""},
		{dropin.Flag{Long: "tunnel", Help: "instead of SOCKS5: tunnel_port leads to tunnel_remote"}, "", dropin.Local},
		{dropin.Flag{Long: "print-toml", Help: "print the same as a file of umbra's own, and end"}, "", ""},
		{dropin.Flag{Long: "style", Value: "STYLE", Help: "of umbra local and umbra server: whose flags these\nare, python, libev or rust"}, "", ""},
		{dropin.Flag{Short: 'd', Value: "COMMAND", Help: "start, stop or restart in the background"}, "daemon", ""},
		{dropin.Flag{Long: "pid-file", Value: "FILE", Help: "the pid in the background: /var/run/shadowsocks.pid"}, "pid-file", ""},
		{dropin.Flag{Long: "log-file", Value: "FILE", Help: "the log in the background: /var/log/shadowsocks.log"}, "log-file", ""},
		{dropin.Flag{Long: "user", Value: "USER", Help: "who to become once the ports are open"}, "user", ""},
		{dropin.Flag{Short: 'v', Help: "say more; twice: all"}, "verbose", ""},
		{dropin.Flag{Short: 'q', Help: "warnings and errors alone; twice: errors"}, "verbose", ""},
		{dropin.Flag{Short: 'h', Long: "help", Help: "show this help"}, "", ""},
		{dropin.Flag{Long: "version", Help: "tell the version"}, "", ""},
	}
}

// flagsOf returns the flags of a program.
func flagsOf(role dropin.Role) (list []flag, table dropin.Flags) {
	for _, f := range flags() {
		if f.only == "" || f.only == role {
			list = append(list, f)
			table.List = append(table.List, f.Flag)
		}
	}
	return list, table
}

// WriteHelp writes how a program is called. One line alone has the word "usage", and begins
// with it: programs look for it.
func WriteHelp(w io.Writer, p dropin.Program) {
	what := "the local side: a SOCKS5 server, through a Shadowsocks server"
	if p.Role == dropin.Server {
		what = "a Shadowsocks server"
	}
	fmt.Fprintf(w, "usage: %s [OPTION]...\n%s. A flag goes before a key of the file.\n\n", p.Name, what)
	_, table := flagsOf(p.Role)
	table.WriteHelp(w)
	fmt.Fprintf(w, "\nThe file is JSON, as for the Python original; umbra convert makes a file of umbra's own of it.\n")
}

// setFlag takes over a flag that stands for a key of the file.
func (c *Config) setFlag(f flag, value string) error {
	switch {
	case f.Short == 'v':
		c.Verbose++
	case f.Short == 'q':
		c.Verbose--
	case f.key == "forbidden_ip":
		c.ForbiddenIP = splitList(value)
	case f.Value == "":
		if _, err := c.set(f.key, json.RawMessage("true")); err != nil {
			return err
		}
	default:
		quoted, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if _, err := c.set(f.key, quoted); err != nil {
			return fmt.Errorf("%s: %w", flagName(f.Flag), err)
		}
	}
	if !c.Has(f.key) {
		c.given = append(c.given, f.key)
	}
	return nil
}

// flagName returns a flag as it is written.
func flagName(f dropin.Flag) string {
	if f.Long == "" {
		return "-" + string(f.Short)
	}
	return "--" + strings.TrimSpace(f.Long)
}
