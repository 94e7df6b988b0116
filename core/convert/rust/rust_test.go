package rust_test

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert/converttest"
	"github.com/umbra-proxy/umbra/core/convert/rust"
	"github.com/umbra-proxy/umbra/core/dropin"
)

const file = `{
	// JSON5
	servers: [
		{server: "192.0.2.1", server_port: 8388, method: "aes-256-gcm", password: "one-long-password", remarks: "Oslo", timeout: 60, mode: "tcp_and_udp", tcp_weight: 1.0},
		{address: "::1", port: 8389, method: "2022-blake3-aes-128-gcm", password: "Y2NjY2NjY2NjY2NjY2NjYw==", users: [{name: "alice", password: "YWFhYWFhYWFhYWFhYWFhYQ=="}]},
		{server: "192.0.2.3", server_port: 1, method: "rc4-md5", password: "x", disabled: true},
	],
	locals: [
		{local_address: "127.0.0.1", local_port: 1080},
		{local_address: "0.0.0.0", local_port: 3128, protocol: "http"},
		{local_port: 53, protocol: "tunnel", forward_address: "9.9.9.9", forward_port: 53, mode: "tcp_and_udp"},
	],
	mode: "tcp_only", timeout: 300, keep_alive: 20, dns: "cloudflare", no_delay: true, nofile: 10240, udp_timeout: 60, ipv6_first: true,
	outbound_bind_interface: "lo", log: {level: 1, format: {without_time: true}}, runtime: {mode: "multi_thread"},
	security: {replay_attack: {policy: "reject"}}, balancer: {max_server_rtt: 5}, nosuch: 1,
}`

// Each flag and key has its place in a configuration that umbra takes, and a line.
func TestTranslations(t *testing.T) {
	for _, tc := range []struct {
		name   string
		role   dropin.Role
		flags  string
		config string
	}{
		{"local", dropin.Local, "-s=192.0.2.1:8388 -b=127.0.0.1:1080 -m=aes-256-gcm -k=x", ""},
		{"local-flags", dropin.Local, "-s=[2001:db8::1]:8388 -b=127.0.0.1:1080 -m=aes-256-gcm -k=x -U -v -d --daemonize-pid=/run/x.pid -a=nobody --protocol=http --tcp-no-delay", ""},
		{"local-tunnel", dropin.Local, "-s=192.0.2.1:8388 -b=127.0.0.1:5353 --protocol=tunnel -f=9.9.9.9:53 -m=aes-256-gcm -k=x -u", ""},
		{"local-file", dropin.Local, "", file},
		{"server", dropin.Server, "-s=127.0.0.1:8388 -m=aes-256-gcm -k=x -U -b=127.0.0.2 --outbound-fwmark=0x10 --timeout=60", ""},
		{"server-file", dropin.Server, "", file},
		{"server-variable", dropin.Server, "-s=127.0.0.1:8388 -m=aes-256-gcm", `{"password": "${PATH}"}`},
		{"manager", dropin.Manager, "--manager-addr=127.0.0.1:6001 -s=127.0.0.1 -m=aes-256-gcm -U", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := rust.Input{Role: tc.role, Flags: converttest.Flags(tc.flags)}
			if tc.config != "" {
				in.Config = []byte(tc.config)
			}
			r, err := rust.Translate(converttest.Registry(), in)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			b.WriteString(r.Document.String() + "\n--\n")
			if _, err := r.Report.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			converttest.Golden(t, "testdata/"+tc.name+".want", b.String())
			said := map[string]bool{}
			for _, n := range r.Report.Notes {
				if said[n.Key] {
					t.Errorf("two words of %s", n.Key)
				}
				said[n.Key] = true
			}
			for _, f := range in.Flags {
				if !said[f.Said] {
					t.Errorf("no word of %s", f.Said)
				}
			}
			if _, err := config.LoadText("made.toml", []byte(r.Document.String()), converttest.Registry()); err != nil {
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
	}{
		{dropin.Local, "-b=127.0.0.1:1080", "", "want a server"},
		{dropin.Local, "-s=192.0.2.1:1 -m=aes-256-gcm -k=x", "", "want a local address"},
		{dropin.Server, "-s=192.0.2.1:1 -k=x", "", "method: missing"},
		{dropin.Server, "-s=192.0.2.1 -k=x", "", "want HOST:PORT"},
		{dropin.Server, "-s=192.0.2.1:1 -k=x -m=aes-256-gcm", `{"outbound_proxy": "socks5://127.0.0.1:1"}`, "outbound_proxy"},
		{dropin.Server, "-s=192.0.2.1:1 -k=x -m=camellia-256-cfb", "", "use chacha20-ietf-poly1305"},
		{dropin.Local, "-s=192.0.2.1:1 -b=127.0.0.1:1 -k=x -m=aes-256-gcm --protocol=tun", "", "not supported"},
		{dropin.Server, "", "{servers: 1}", "want a list"},
		{dropin.Server, "", "{\n\n'a' 1}", "line 3"},
	} {
		in := rust.Input{Role: tc.role, Flags: converttest.Flags(tc.flags)}
		if tc.config != "" {
			in.Config = []byte(tc.config)
		}
		if _, err := rust.Translate(converttest.Registry(), in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s %s: got %v, want %s", tc.role, tc.flags, tc.config, err, tc.want)
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(file))
	reg := converttest.Registry()
	f.Fuzz(func(_ *testing.T, data []byte) {
		for _, role := range []dropin.Role{dropin.Local, dropin.Server, dropin.Manager} {
			if r, err := rust.Translate(reg, rust.Input{Role: role, Config: data}); err == nil {
				_ = r.Document.String()
			}
		}
	})
}

// A file says by its keys whose it is.
func TestConvert(t *testing.T) {
	for config, want := range map[string]string{
		file: "as sslocal reads it",
		`{server: "127.0.0.1", server_port: 8388, method: "aes-256-gcm", password: "one-long-password"}`: "as ssserver reads it",
		`{manager_address: "127.0.0.1", manager_port: 6001, server: "127.0.0.1", method: "aes-256-gcm"}`: "as ssmanager reads it",
	} {
		doc, report, err := rust.Convert(converttest.Registry(), []byte(config))
		if err != nil || !strings.Contains(doc.String(), want) || len(report.Notes) == 0 {
			t.Errorf("%s: got %v\n%v", config, err, doc)
		}
	}
}
