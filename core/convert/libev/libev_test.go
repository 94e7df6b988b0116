package libev_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/convert/libev"
	"github.com/umbra-proxy/umbra/plugins"
)

var update = flag.Bool("update-libev", false, "write the golden files anew")

func registry() *core.Registry {
	reg := &core.Registry{}
	plugins.Standard(reg)
	return reg
}

// flags returns flags that are written as words, the value of each behind "=".
func flags(line string) (all []libev.Flag) {
	for word := range strings.FieldsSeq(line) {
		said, value, hasValue := strings.Cut(word, "=")
		all = append(all, libev.Flag{Said: said, Value: value, Bare: !hasValue})
	}
	return all
}

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
	role   libev.Role
	flags  string
	config string
}{
	{"local", libev.Local, "-s=192.0.2.1 -p=8388 -l=1080 -k=x", ""},
	{"local-flags", libev.Local, "-s=192.0.2.1 -s=2001:db8::1 -p=8388 -l=1080 -k=long-enough -m=AES-256-GCM -t=10 -a=nobody -f=/run/x.pid -n=99 -i=eth0 -b=0.0.0.0 -u -v --reuse-port --fast-open --no-delay --mtu=1400 --mptcp", ""},
	{"local-acl", libev.Local, "-s=192.0.2.1 -p=8388 -l=1080 -k=x --acl=testdata/all.acl -u -i=eth0", ""},
	{"local-plugin", libev.Local, "-s=192.0.2.1 -p=8388 -l=1080 -k=x --plugin=obfs-local --plugin-opts=obfs=http -u -i=eth0", ""},
	{"local-key", libev.Local, "-s=192.0.2.1 -p=8388 -l=1080 -m=2022-blake3-aes-128-gcm --key=_-ECAwQFBgcICQoLDA0ODw==", ""},
	{"local-socket", libev.Local, "-s=example.net:8388 -l=/run/ss.sock -k=x -U", ""},
	{"local-all", libev.Local, "", allKeys},
	{"server", libev.Server, "-p=8388 -k=x", ""},
	{"server-flags", libev.Server, "-s=127.0.0.1 -p=8388 --password=y -m=rc4-md5 -t=600 -d=8.8.8.8 -6 -b=127.0.0.9 -U -i=lo --acl=testdata/all.acl --manager-address=/run/m.sock --nftables-sets=t:s", ""},
	{"server-plugin", libev.Server, "-s=127.0.0.1 -p=8388 -k=x --plugin=obfs-server --plugin-opts=obfs=tls -u", ""},
	{"server-all", libev.Server, "", allKeys},
	{"server-over", libev.Server, "-p=1 -k=flag-password-long -m=aes-128-gcm -u", `{"server_port": 2, "password": "p", "method": "none", "mode": "tcp_only"}`},
	{"server-mode", libev.Server, "-p=1 -k=x -u", `{"mode": "udp_only"}`},
	{"server-odd-mode", libev.Server, "-p=1 -k=x", `{"mode": "both"}`},
	{"tunnel", libev.Tunnel, "-s=192.0.2.1 -p=8388 -l=5353 -k=x -L=9.9.9.9:53 -u", ""},
	{"tunnel-all", libev.Tunnel, "", allKeys},
	{"redir", libev.Redir, "-s=192.0.2.1 -p=8388 -l=1090 -k=x", ""},
	{"redir-tproxy", libev.Redir, "-s=192.0.2.1 -p=8388 -l=1090 -k=x -T -u -b=0.0.0.0", ""},
	{"redir-all", libev.Redir, "", allKeys},
	{"manager", libev.Manager, "-m=aes-256-gcm --manager-address=127.0.0.1:6001 -s=127.0.0.1 -u -D=/tmp --executable=/usr/bin/ss-server", ""},
	{"manager-home", libev.Manager, "", "{}"},
	{"manager-all", libev.Manager, "", allKeys},
}

// Each flag and key has its place in a configuration that umbra takes, and a line that says
// what became of it.
func TestTranslations(t *testing.T) {
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			in := libev.Input{Role: tc.role, Flags: flags(tc.flags), Home: "/home/x"}
			if tc.config != "" {
				in.Config = []byte(tc.config)
			}
			r, err := libev.Translate(registry(), in)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			b.WriteString(r.Document.String() + "\n--\n")
			if _, err := r.Report.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", tc.name+".want"), b.String())
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
			reg := registry()
			if _, ok := reg.Inbound.Lookup("redirect"); !ok && tc.role == libev.Redir || tc.name == "local-socket" {
				t.Skip("no such inbound yet")
			}
			if _, err := config.LoadText("made.toml", []byte(r.Document.String()), reg); err != nil {
				t.Errorf("%v\n%s", err, r.Document.String())
			}
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%v; got\n%s", err, got)
	}
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		role          libev.Role
		flags, config string
		want          string
		usage         bool
	}{
		{libev.Server, "-p=1", "", "both password and key are NULL", true},
		{libev.Server, "-k=x", "", "server_port is NULL", true},
		{libev.Local, "-k=x -s=127.0.0.1 -p=1", "", "local_port is NULL", true},
		{libev.Local, "-k=x -l=1080", "", "server is NULL", true},
		{libev.Tunnel, "-k=x -s=127.0.0.1 -p=1 -l=2", "", "tunnel_address is NULL", true},
		{libev.Tunnel, "-k=x -s=127.0.0.1 -p=1 -l=2 -L=foo", "", "tunnel port is not defined", false},
		{libev.Server, "-k=x -p=1 -A", "", "One time auth has been deprecated", false},
		{libev.Server, "-k=x -p=1", `{"auth": true}`, "One time auth has been deprecated", false},
		{libev.Server, "-k=x -p=1 -m=camellia-256-cfb", "", "use chacha20-ietf-poly1305", false},
		{libev.Server, "-k=x -p=1 -m=foo", "", `method "foo" is not known`, false},
		{libev.Server, "-k=x -p=1", `{"fast_open": "yes"}`, "option 'fast_open' must be a boolean", false},
		{libev.Server, "-k=x -p=1", `{"server": {}}`, "option 'server' must be a string", false},
		{libev.Server, "-k=x -p=1", "{\n/* c */}", "line 2", false},
		{libev.Server, "-k=x -p=1 --acl=/nosuch", "", "no such file", false},
		{libev.Server, "-p=1 -m=aes-128-gcm --key=AAECAwQFBgcICQoLDA0ODw==", "", "a 2022 method, whose password is a key", false},
		{libev.Server, "-p=70000 -k=x", "", "no number from 1 to 65535", false},
		{libev.Manager, "--manager-address=", "{}", "manager_address is NULL", true},
	} {
		in := libev.Input{Role: tc.role, Flags: flags(tc.flags)}
		if tc.config != "" {
			in.Config = []byte(tc.config)
		}
		_, err := libev.Translate(registry(), in)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s %s: got %v, want %s", tc.role, tc.flags, tc.config, err, tc.want)
		}
		if _, isUsage := errors.AsType[libev.UsageError](err); isUsage != tc.usage {
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
		d, _, err := libev.Convert(registry(), []byte(file))
		if err != nil || !strings.Contains(d.String(), want) {
			t.Errorf("%s: %v; got\n%s", file, err, d)
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(allKeys))
	f.Add([]byte(`{"server": [1, {}], "local_port": "/x", "password": 1, "server_port": "9",}`))
	reg := registry()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, role := range []libev.Role{libev.Local, libev.Server, libev.Tunnel, libev.Redir, libev.Manager} {
			if r, err := libev.Translate(reg, libev.Input{Role: role, Config: data, Home: "/"}); err == nil {
				_ = r.Document.String()
			}
		}
	})
}
