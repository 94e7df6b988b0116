package python_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert/converttest"
	"github.com/umbra-proxy/umbra/core/convert/python"
	"github.com/umbra-proxy/umbra/core/dropin"
)

func program(role dropin.Role) dropin.Program {
	return dropin.Program{Name: "ss" + string(role), Style: dropin.Python, Role: role}
}

// none is a folder without config.json.
func none(string) ([]byte, error) { return nil, fs.ErrNotExist }

// Each key and each flag of the original has its translation, which is a valid file.
func TestTranslate(t *testing.T) {
	const local, server, tunnel = dropin.Local, dropin.Server, dropin.Tunnel
	for _, tc := range []struct {
		name string
		role dropin.Role
		args string
		file string
	}{
		{"local-defaults", local, "-s 192.0.2.1 -k secret", ""},
		{"server-defaults", server, "-k secret", ""},
		{"local-flags", local, "-s 2001:db8::1 -p 443 -b 0.0.0.0 -l1081 -k secret -m AES-256-GCM -t600 --fast-open -vv", ""},
		{"local-lists", local, "", `{"server": ["192.0.2.1", "example.net"], "server_port": [8381, "8382"], "password": "secret", "method": "chacha20"}`},
		{"local-v6", local, "-b ::1", `{"server": "::1", "password": 12345, "method": "mbedtls:aes-256-cfb128"}`},
		{"local-daemon", local, "-d start --log-file=local.log --pid-file=p --user nobody -qq", `{"server": "192.0.2.1", "password": "secret"}`},
		{"tunnel", tunnel, "", `{"server": "192.0.2.1", "password": "secret", "tunnel_remote": "9.9.9.9", "tunnel_remote_port": "53", "tunnel_port": 5353}`},
		{"tunnel-defaults", local, "--tunnel -s 192.0.2.1 -k secret", ""},
		{"server-flags", server, "-s :: -p 443 -k secret -m rc4-md5 -t 0.5 --workers=4 --forbidden-ip=10.0.0.0/8,192.0.2.1 --prefer-ipv6 --fast-open -q", ""},
		{"server-ports", server, "", `{"server": ["0.0.0.0", "::"], "server_port": [8381, 8382], "password": "secret", "method": "salsa20", "local_port": 1080}`},
		{"server-port-password", server, "", `{"port_password": {"8382": "one", "8381": "two"}, "server_port": 1, "password": "x", "method": "table", "forbidden_ip": []}`},
		{"server-forbidden-text", server, "", `{"password": "secret", "forbidden_ip": "fe80::/10, 127.0.0.1"}`},
		{"server-dns", server, "", `{"password": "secret", "dns_server": ["8.8.8.8", "9.9.9.9"], "prefer_ipv6": true, "timeout": "120"}`},
		{"server-dns-text", server, "--forbidden-ip=", `{"password": "secret", "dns_server": "8.8.8.8"}`},
		{"flags-over-file", server, "-p 443 -k flag -m aes-128-ctr --forbidden-ip 1.1.1.1/32", `{"server_port": 1, "password": "file", "method": "table", "verbose": 1, "forbidden_ip": ["::/0"]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			call, err := python.Read(program(tc.role), strings.Fields(tc.args), func(path string) ([]byte, error) {
				if tc.file == "" {
					return none(path)
				}
				return []byte(tc.file), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			doc, err := call.Translate(converttest.Registry(), call.Role)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := config.LoadText(tc.name, []byte(doc.String()), converttest.Registry()); err != nil {
				t.Error(err)
			}
			converttest.Golden(t, "testdata/"+tc.name+".toml", doc.String())
		})
	}
}

// The manager's table stands in the place of the ports' pipelines.
func TestManager(t *testing.T) {
	call, err := python.Read(program(dropin.Server), []string{"--manager-address=127.0.0.1:6001"}, func(string) ([]byte, error) {
		return []byte(`{"port_password": {"8381": "one"}, "method": "AES-256-CFB", "server": "192.0.2.1"}`), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := call.Translate(converttest.Registry(), call.Role)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.LoadText("manager", []byte(doc.String()), converttest.Registry()); err != nil {
		t.Error(err)
	}
	converttest.Golden(t, "testdata/"+"manager"+".toml", doc.String())
}

// What is said and the exit status are those of the original, in its words.
func TestLines(t *testing.T) {
	const local, server = dropin.Local, dropin.Server
	for _, tc := range []struct {
		name   string
		role   dropin.Role
		args   string
		file   string
		lines  string // each with its level
		status int
		usage  bool
	}{
		{"nothing", local, "", "", "ERROR config not specified", 2, true},
		{"no file", server, "", "", "ERROR config not specified", 2, true},
		{"unknown flag", local, "--what", "", "ERROR option --what not recognized", 2, true},
		{"flag of the other side", local, "--workers=1", "", "ERROR option --workers not recognized", 2, true},
		{"bad port", server, "-p x -k y", "", `ERROR -p: want a port from 1 to 65535, got "x"`, 2, true},
		{"no server", local, "-m aes-256-cfb", "", "ERROR server addr not specified", 2, true},
		{"no password", local, "-s 192.0.2.1", "", "ERROR password not specified", 2, true},
		{"no password on a server", server, "-p 1", "", "ERROR password or port_password not specified", 2, true},
		{"a manager needs none", server, "--manager-address=127.0.0.1:1", "", "", 0, false},
		{"stop needs nothing", local, "-d stop", "", "", 0, false},
		{"bad daemon command", local, "-d pause", "", "ERROR unsupported daemon command: pause; want start, stop or restart", 1, false},
		{"default password", local, "-s 192.0.2.1 -k mypassword", "", "ERROR DON'T USE DEFAULT PASSWORD! Please change it in your config.json!", 1, false},
		{"loopback", local, "-s 127.0.0.1 -k x", "", "WARN warning: server set to listen on 127.0.0.1:8388, are you sure?", 0, false},
		{"localhost", server, "-s localhost -p 1 -k x", "", "WARN warning: server set to listen on localhost:1, are you sure?", 0, false},
		{"open", local, "-s 192.0.2.1 -b 0.0.0.0 -k x", "", "WARN warning: local set to listen on 0.0.0.0, it's not safe", 0, false},
		{"short timeout", local, "-s 192.0.2.1 -k x -t10", "", "WARN warning: your timeout 10 seems too short", 0, false},
		{"long timeout", server, "-k x -t1000", "", "WARN warning: your timeout 1000 seems too long", 0, false},
		{"rc4", server, "-k x -m RC4", "", "WARN warning: RC4 is not safe; please use a safer cipher, like AES-256-CFB", 0, false},
		{"table", server, "-k x -m table", "", "WARN warning: table is not safe; please use a safer cipher, like AES-256-CFB", 0, false},
		{"bad range", server, "-k x --forbidden-ip=127.0.0.1/4a", "", "ERROR Not a valid CIDR notation: 127.0.0.1/4a", 2, false},
		{"range too long", server, "-k x --forbidden-ip=127.0.0.1/33", "", "ERROR Not a valid CIDR notation: 127.0.0.1/33", 2, false},
		{"no size", server, "-k x --forbidden-ip=10.0.0.0", "", "WARN You did't specify CIDR routing prefix size for 10.0.0.0, implicit treated as 10.0.0.0/7", 0, false},
		{"both", server, "-c f", `{"port_password": {"1": "a"}, "password": "b"}`, "INFO loading config from f\nWARN warning: port_password should not be used with server_port and password. server_port and password will be ignored", 0, false},
		{"unknown key", server, "-c f", `{"password": "b", "x": 1}`, "INFO loading config from f\n" + `WARN warning: the key "x" of f is not known and has no effect`, 0, false},
		{"bad JSON", server, "-c f", "{\n\"a\": }", "INFO loading config from f\nERROR found an error in f: line 2: invalid character '}' looking for beginning of value", 1, false},
		{"no object", server, "-c f", "[]", "INFO loading config from f\n" + `ERROR found an error in f: want an object, as {"server": …}`, 1, false},
		{"one-time auth", local, "-s 192.0.2.1 -k x -a", "", "ERROR one-time auth (one_time_auth, -a) is not supported: leave it out, and use chacha20-ietf-poly1305 or another AEAD method at both ends", 1, false},
		{"library", local, "-s 192.0.2.1 -k x --libopenssl=invalid_path", "", "ERROR libopenssl: stat invalid_path: no such file or directory; leave it out, no library is needed", 1, false},
		{"library of other methods", local, "-s 192.0.2.1 -k x --libsodium=invalid_path", "", "", 0, false},
		{"sodium", local, "-s 192.0.2.1 -k x -m salsa20 --libsodium=invalid_path", "", "ERROR libsodium: stat invalid_path: no such file or directory; leave it out, no library is needed", 1, false},
		{"mbedtls", local, "-s 192.0.2.1 -k x -m mbedtls:aes-256-gcm --libmbedtls=invalid_path", "", "ERROR libmbedtls: stat invalid_path: no such file or directory; leave it out, no library is needed", 1, false},
		{"a library's bare name", local, "-s 192.0.2.1 -k x --libopenssl=libcrypto.so.3", "", "", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			call, err := python.Read(program(tc.role), strings.Fields(tc.args), func(path string) ([]byte, error) {
				if tc.file == "" {
					return none(path)
				}
				return []byte(tc.file), nil
			})
			var lines []string
			for _, l := range call.Lines {
				lines = append(lines, l.Level.String()+" "+l.Text)
			}
			status, usage := 0, false
			if e, isError := err.(*python.Error); isError {
				lines, status, usage = append(lines, e.Level.String()+" "+e.Text), e.Status, e.Usage
			}
			if got := strings.Join(lines, "\n"); got != tc.lines || status != tc.status || usage != tc.usage {
				t.Errorf("got %d, usage %t, and\n%s\nwant %d, %t, and\n%s", status, usage, got, tc.status, tc.usage, tc.lines)
			}
		})
	}
}

// Methods that are not there are refused by name, and what to use is said.
func TestMethods(t *testing.T) {
	for _, method := range []string{
		"aes-256-ocb", "camellia-256-cfb", "mbedtls:camellia-256-cfb128", "idea-cfb", "seed-cfb", "rc2-cfb", "des-cfb", "bf-cfb", "cast5-cfb",
		"chacha20-poly1305", "rc4", "aes-256-cfb1", "what",
	} {
		c := python.Default()
		c.Method, c.Password = method, "secret"
		_, err := c.Translate(converttest.Registry(), dropin.Server)
		if err == nil || !strings.Contains(err.Error(), "use chacha20-ietf-poly1305") {
			t.Errorf("%s: got %v", method, err)
		}
	}
}

// Of each key the report has a line, and none is dropped in silence.
func TestConvert(t *testing.T) {
	text := `{"server": "192.0.2.1", "server_port": 1, "local_address": "127.0.0.1", "local_port": 2, "password": "secret", "method": "aes-256-gcm",
	"timeout": 300, "fast_open": true, "verbose": 1, "one_time_auth": false, "user": "nobody", "libopenssl": "x.so", "libmbedtls": "x", "libsodium": "x",
	"tunnel_remote": "a", "tunnel_remote_port": 1, "tunnel_port": 1, "pid-file": "a", "log-file": "b", "daemon": "start", "_comment": "x"`
	for role, file := range map[dropin.Role]string{
		dropin.Local: text + "}",
		dropin.Server: text + `, "port_password": {"1": "a"}, "workers": 2, "forbidden_ip": "10.0.0.0/8", "manager_address": "127.0.0.1:1",
			"prefer_ipv6": false, "dns_server": "8.8.8.8"}`,
	} {
		doc, report, err := python.Convert(converttest.Registry(), []byte(file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(doc.String(), "of the "+string(role)+" side") {
			t.Errorf("got\n%s\nwant that of the %s side", doc, role)
		}
		for _, n := range report.Notes {
			if n.Text == "" || !strings.Contains(file, `"`+n.Key+`"`) {
				t.Errorf("got note %v", n)
			}
		}
		if got, want := len(report.Notes), strings.Count(strings.ReplaceAll(file, `{"1": `, ""), `": `); got != want {
			t.Errorf("%s: got %d notes for %d keys: %v", role, got, want, report.Notes)
		}
	}
}

// Exactly one line of the help has the word usage, and begins with it.
func TestWriteHelp(t *testing.T) {
	for _, role := range []dropin.Role{dropin.Local, dropin.Server} {
		var b strings.Builder
		python.WriteHelp(&b, program(role))
		if got := b.String(); strings.Count(got, "usage") != 1 || !strings.HasPrefix(got, "usage: ss"+string(role)) {
			t.Errorf("got\n%s", got)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(`{"server": ["a", 1], "port_password": {"1": "x"}, "timeout": "3", "verbose": true}`))
	reg := converttest.Registry()
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, _, err := python.Convert(reg, data)
		if err == nil {
			_ = doc.String()
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("got %q", err)
		}
	})
}
