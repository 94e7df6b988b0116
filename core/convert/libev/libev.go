// Package libev makes configurations of umbra out of what the programs of shadowsocks-libev
// are given: flags, a file of JSON and ACL files.
package libev

import (
	"errors"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/dropin"
)

// keyOf returns the key of the file that says the same, or a name of its own.
func keyOf(f convert.Flag) string {
	if key, ok := short[f.Said]; ok {
		return key
	}
	return strings.ReplaceAll(strings.TrimLeft(f.Said, "-"), "-", "_")
}

// short are the keys that flags of one letter stand for.
var short = map[string]string{
	"-s": "server", "-p": "server_port", "-l": "local_port", "-k": "password", "-m": "method", "-a": "user", "-f": "pid_file",
	"-t": "timeout", "-n": "nofile", "-i": "interface", "-b": "local_address", "-6": "ipv6_first", "-d": "nameserver",
	"-T": "tcp_tproxy", "-L": "tunnel_address", "-D": "workdir", "-v": "verbose", "-A": "auth",
}

// keys are all keys of files, and what flags without a key are called.
const keys = ` server server_port local_address local_ipv4_address local_ipv6_address local_port password key method timeout user
 nofile interface mode ipv6_first ipv6_only nameserver tcp_tproxy tunnel_address workdir executable verbose acl manager_address reuse_port fast_open
 no_delay mptcp mtu plugin plugin_opts port_password dscp use_syslog auth pid_file nftables_sets
 tcp_incoming_sndbuf tcp_incoming_rcvbuf tcp_outgoing_sndbuf tcp_outgoing_rcvbuf disable_sni remarks `

func known(key string) bool {
	return strings.Contains(strings.ReplaceAll(keys, "\n", ""), " "+key+" ")
}

// Input is what a program was given.
type Input struct {
	Role   dropin.Role
	Flags  []convert.Flag
	Config []byte // the file of -c; nil for none
	Home   string // the user's folder, for ss-manager's socket; "" for none
}

// Launch is what does not stand in a configuration: what becomes of the process.
type Launch struct {
	User    string // whom it becomes once its ports are open
	PIDFile string // it goes into the background, with this file
	WorkDir string // of ss-manager
}

// Result is a translation.
type Result struct {
	Document convert.Document
	Report   convert.Report
	Launch   Launch
}

// ErrAuth is what libev says of one-time authentication.
var ErrAuth = errors.New("One time auth has been deprecated. Try AEAD ciphers instead.") //lint:ignore ST1005 libev's words

// Convert makes a configuration of a file of libev. One that names a local port is a local
// side's, and one with a tunnel's target, ports with passwords or tcp_tproxy that of the
// program which has these.
func Convert(reg *core.Registry, data []byte) (*convert.Document, *convert.Report, error) {
	in := Input{Role: dropin.Server, Config: data}
	fields, err := convert.Fields(convert.Strict(data, false))
	if err != nil {
		return nil, nil, err
	}
	has := map[string]bool{}
	for _, f := range fields {
		has[f.Key] = true
	}
	switch {
	case has["port_password"] || has["manager_address"]:
		in.Role = dropin.Manager
	case has["tunnel_address"]:
		in.Role = dropin.Tunnel
	case has["tcp_tproxy"]:
		in.Role = dropin.Redir
	case has["local_port"]:
		in.Role = dropin.Local
	}
	r, err := Translate(reg, in)
	if err != nil {
		return nil, nil, err
	}
	r.Document.Say("made of a file of shadowsocks-libev, as ss-%s reads it", in.Role)
	return &r.Document, &r.Report, nil
}
