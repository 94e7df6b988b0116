package libev_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/convert/converttest"
	"github.com/umbra-proxy/umbra/core/convert/libev"
	"github.com/umbra-proxy/umbra/core/dropin"
)

const allKeys = `{
	"server": ["::0", "0.0.0.0"], "server_port": "8390", "local_address": "127.0.0.5", "local_ipv4_address": "127.0.0.2",
	"local_ipv6_address": "::1", "local_port": 1090, "password": "file-password-of-some-length", "method": "aes-256-gcm",
	"timeout": "300", "user": "nobody", "nofile": 1024, "interface": "lo", "mode": "tcp_and_udp", "ipv6_first": true, "ipv6_only": false,
	"nameserver": "8.8.8.8,1.1.1.1", "tcp_tproxy": true, "tunnel_address": "9.9.9.9:53", "workdir": "/x", "executable": "/y", "verbose": true,
	"acl": "testdata/all.acl", "reuse_port": true, "fast_open": true, "no_delay": true, "mptcp": true,
	"mtu": 1400, "plugin": "ss-v2ray-plugin", "plugin_opts": "host=example.net", "port_password": {"8391": "one-long-password", "8392": "another-password"},
	"dscp": {"8391": "EF"}, "use_syslog": true, "auth": false, "nftables_sets": "t:s", "disable_sni": true, "remarks": "mine", "nosuch": 1,
	"tcp_incoming_sndbuf": 1, "tcp_incoming_rcvbuf": 2, "tcp_outgoing_sndbuf": 3, "tcp_outgoing_rcvbuf": 4, "manager_address": "127.0.0.1:6001",
}`

var cases = []struct {
	name   string
	role   dropin.Role
	flags  string
	config string
}{
	{"local", dropin.Local, "-s=192.0.2.1 -p=8388 -l=1080 -k=x", ""},
	{"local-flags", dropin.Local, "-s=192.0.2.1 -s=2001:db8::1 -p=8388 -l=1080 -k=long-enough -m=AES-256-GCM -t=10 -a=nobody -f=/run/x.pid -n=99 -i=eth0 -b=0.0.0.0 -u -v --reuse-port --fast-open --no-delay --mtu=1400 --mptcp", ""},
	{"local-acl", dropin.Local, "-s=192.0.2.1 -p=8388 -l=1080 -k=x --acl=testdata/all.acl -u -i=eth0", ""},
	{"local-plugin", dropin.Local, "-s=192.0.2.1 -p=8388 -l=1080 -k=x --plugin=obfs-local --plugin-opts=obfs=http -u -i=eth0", ""},
	{"local-key", dropin.Local, "-s=192.0.2.1 -p=8388 -l=1080 -m=2022-blake3-aes-128-gcm --key=_-ECAwQFBgcICQoLDA0ODw==", ""},
	{"local-socket", dropin.Local, "-s=example.net:8388 -l=/run/ss.sock -k=x -U", ""},
	{"local-all", dropin.Local, "", allKeys},
	{"server", dropin.Server, "-p=8388 -k=x", ""},
	{"server-flags", dropin.Server, "-s=127.0.0.1 -p=8388 --password=y -m=rc4-md5 -t=600 -d=8.8.8.8 -6 -b=127.0.0.9 -U -i=lo --acl=testdata/all.acl --manager-address=/run/m.sock --nftables-sets=t:s", ""},
	{"server-plugin", dropin.Server, "-s=127.0.0.1 -p=8388 -k=x --plugin=obfs-server --plugin-opts=obfs=tls -u", ""},
	{"server-all", dropin.Server, "", allKeys},
	{"server-over", dropin.Server, "-p=1 -k=flag-password-long -m=aes-128-gcm -u", `{"server_port": 2, "password": "p", "method": "none", "mode": "tcp_only"}`},
	{"server-mode", dropin.Server, "-p=1 -k=x -u", `{"mode": "udp_only"}`},
	{"server-odd-mode", dropin.Server, "-p=1 -k=x", `{"mode": "both"}`},
	{"tunnel", dropin.Tunnel, "-s=192.0.2.1 -p=8388 -l=5353 -k=x -L=9.9.9.9:53 -u", ""},
	{"tunnel-all", dropin.Tunnel, "", allKeys},
	{"redir", dropin.Redir, "-s=192.0.2.1 -p=8388 -l=1090 -k=x", ""},
	{"redir-tproxy", dropin.Redir, "-s=192.0.2.1 -p=8388 -l=1090 -k=x -T -u -b=0.0.0.0", ""},
	{"redir-all", dropin.Redir, "", allKeys},
	{"manager", dropin.Manager, "-m=aes-256-gcm --manager-address=127.0.0.1:6001 -s=127.0.0.1 -u -D=/tmp --executable=/usr/bin/ss-server", ""},
	{"manager-home", dropin.Manager, "", "{}"},
	{"manager-all", dropin.Manager, "", allKeys},
}

// Each flag and key has its place in a configuration that umbra takes, and a line that says
// what became of it.
func TestTranslations(t *testing.T) {
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			in := libev.Input{Role: tc.role, Flags: converttest.Flags(tc.flags), Home: "/home/x"}
			if tc.config != "" {
				in.Config = []byte(tc.config)
			}
			r, err := libev.Translate(converttest.Registry(), in)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			b.WriteString(r.Document.String() + "\n--\n")
			if _, err := r.Report.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			converttest.Golden(t, filepath.Join("testdata", tc.name+".want"), b.String())
			said := map[string]int{}
			for _, n := range r.Report.Notes {
				said[n.Key]++
			}
			for _, f := range in.Flags {
				if said[f.Said] == 0 {
					t.Errorf("no word of %s", f.Said)
				}
			}
			keys, err := convert.Fields(convert.Strict(in.Config, false))
			if err != nil && in.Config != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				if said[k.Key] != 1 {
					t.Errorf("got %d words of %s", said[k.Key], k.Key)
				}
			}
			_, err = config.LoadText("made.toml", []byte(r.Document.String()), converttest.Registry())
			if tc.name == "local-socket" { // no inbound listens on a Unix socket
				if err == nil || !strings.Contains(err.Error(), "/run/ss.sock") {
					t.Errorf("a Unix socket: got %v, want a mistake that names it", err)
				}
				return
			}
			if err != nil {
				t.Errorf("%v\n%s", err, r.Document.String())
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		role          dropin.Role
		flags, config string
		want          string
		usage         bool
	}{
		{dropin.Server, "-p=1", "", "both password and key are NULL", true},
		{dropin.Server, "-k=x", "", "server_port is NULL", true},
		{dropin.Local, "-k=x -s=127.0.0.1 -p=1", "", "local_port is NULL", true},
		{dropin.Local, "-k=x -l=1080", "", "server is NULL", true},
		{dropin.Tunnel, "-k=x -s=127.0.0.1 -p=1 -l=2", "", "tunnel_address is NULL", true},
		{dropin.Tunnel, "-k=x -s=127.0.0.1 -p=1 -l=2 -L=foo", "", "tunnel port is not defined", false},
		{dropin.Server, "-k=x -p=1 -A", "", "One time auth has been deprecated", false},
		{dropin.Server, "-k=x -p=1", `{"auth": true}`, "One time auth has been deprecated", false},
		{dropin.Server, "-k=x -p=1 -m=camellia-256-cfb", "", "use chacha20-ietf-poly1305", false},
		{dropin.Server, "-k=x -p=1 -m=foo", "", `method "foo" is not known`, false},
		{dropin.Server, "-k=x -p=1", `{"fast_open": "yes"}`, "option 'fast_open' must be a boolean", false},
		{dropin.Server, "-k=x -p=1", `{"server": {}}`, "option 'server' must be a string", false},
		{dropin.Server, "-k=x -p=1", "{\n/* c */}", "line 2", false},
		{dropin.Server, "-k=x -p=1 --acl=/nosuch", "", "no such file", false},
		{dropin.Server, "-p=1 -m=aes-128-gcm --key=AAECAwQFBgcICQoLDA0ODw==", "", "a 2022 method, whose password is a key", false},
		{dropin.Server, "-p=70000 -k=x", "", "no number from 1 to 65535", false},
		{dropin.Manager, "--manager-address=", "{}", "manager_address is NULL", true},
	} {
		in := libev.Input{Role: tc.role, Flags: converttest.Flags(tc.flags)}
		if tc.config != "" {
			in.Config = []byte(tc.config)
		}
		_, err := libev.Translate(converttest.Registry(), in)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s %s: got %v, want %s", tc.role, tc.flags, tc.config, err, tc.want)
		}
		if _, isUsage := errors.AsType[convert.UsageError](err); isUsage != tc.usage {
			t.Errorf("%s %s: got usage %t, want %t", tc.role, tc.flags, isUsage, tc.usage)
		}
	}
}

// A file without flags is of the program that its keys are for.
func TestConvert(t *testing.T) {
	for file, want := range map[string]string{
		`{"server": "x.example", "server_port": 1, "local_port": 2, "password": "p"}`:                             "[inbound.socks5]",
		`{"server": "0.0.0.0", "server_port": 1, "password": "p"}`:                                                "[inbound.server]",
		`{"port_password": {"1": "p"}, "manager_address": "127.0.0.1:9"}`:                                         "[manager]",
		`{"server": "x.example", "server_port": 1, "local_port": 2, "password": "p", "tunnel_address": "a.b:53"}`: "[inbound.tunnel]",
	} {
		d, _, err := libev.Convert(converttest.Registry(), []byte(file))
		if err != nil || !strings.Contains(d.String(), want) {
			t.Errorf("%s: %v; got\n%s", file, err, d)
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(allKeys))
	f.Add([]byte(`{"server": [1, {}], "local_port": "/x", "password": 1, "server_port": "9",}`))
	reg := converttest.Registry()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, role := range []dropin.Role{dropin.Local, dropin.Server, dropin.Tunnel, dropin.Redir, dropin.Manager} {
			if r, err := libev.Translate(reg, libev.Input{Role: role, Config: data, Home: "/"}); err == nil {
				_ = r.Document.String()
			}
		}
	})
}
