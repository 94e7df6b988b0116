package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// pipeline is a text that makes a file of policy.all's options valid.
const pipeline = `
[inbound.socks5]
listen = ":1"
[outbound.direct]
[pipeline.p]
chain = ["inbound.socks5", "policy.all", "outbound.direct"]
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("x", []byte(text), kinds())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestValues(t *testing.T) {
	f := parse(t, pipeline+`
[policy.all]
text     = "a\u00e4"
flag     = false
int      = -8
small    = -128
port     = 0xffff
big      = 9_223_372_036_854_775_807
rate     = 3
window   = "90s"
maybe    = "1s"
list     = []
ints     = [1, 2]
ranges   = ["10.0.0.0/8", "::1"]
limits   = { a = 1, "B c" = 2 }
windows  = { x = "1m" }
tuning   = { name = "n", inner = { depth = 4 } }
tunings  = [ { name = "o", size = 1 }, { name = "p", inner.depth = 9 } ]
password = "correct horse"
secrets  = ["battery"]
[policy.all.by_name.Q]
name = "q"
`)
	window := option.Duration(time.Second)
	named := func(name string, size int, depth uint8) tuning {
		v := tuning{Name: name, Size: size}
		v.Inner.Depth = depth
		return v
	}
	want := &allOptions{
		Text: "aä", Flag: false, Int: -8, Small: -128, Port: 0xffff, Big: 1<<63 - 1, Rate: 3,
		Window: option.Duration(90 * time.Second), Maybe: &window,
		List: []string{}, Ints: []int{1, 2}, Ranges: prefixes(t, "10.0.0.0/8", "::1"),
		Limits:  map[string]int{"a": 1, "B c": 2},
		Windows: map[string]option.Duration{"x": option.Duration(time.Minute)},
		Tuning:  named("n", 7, 4), Tunings: []tuning{named("o", 1, 3), named("p", 7, 9)},
		ByName:   map[string]tuning{"Q": named("q", 7, 3)},
		Password: "correct horse", Secrets: []option.Text{"battery"},
	}
	if got := f.Components[ID{core.SectionPolicy, "all"}].Options; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%#v\nwant\n%#v", got, want)
	}
}

func prefixes(t *testing.T, texts ...string) []option.Prefix {
	t.Helper()
	list := make([]option.Prefix, len(texts))
	for i, text := range texts {
		if err := list[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func TestDefaults(t *testing.T) {
	f := parse(t, pipeline+"[policy.all]\n")
	want := &allOptions{
		Text: "hello", Flag: true, Int: -3, Port: 53, Rate: 0.5,
		Window: option.Duration(10 * time.Minute), List: []string{"a", "b"},
	}
	want.Tuning.Size, want.Tuning.Inner.Depth = 7, 3
	if got := f.Components[ID{core.SectionPolicy, "all"}].Options; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%#v\nwant\n%#v", got, want)
	}
	socks := f.Components[ID{core.SectionInbound, "socks5"}].Options.(*socksOptions)
	if want := prefixes(t, "127.0.0.0/8", "::1/128"); !reflect.DeepEqual(socks.Allow, want) || socks.Max != 4096 {
		t.Errorf("got %v and %d, want %v and 4096", socks.Allow, socks.Max, want)
	}
	p := f.Pipelines[0]
	if p.IdleTimeout.Std() != 5*time.Minute || p.DialTimeout.Std() != 10*time.Second {
		t.Errorf("got %v and %v, want 5m and 10s", p.IdleTimeout, p.DialTimeout)
	}
	if f.Process.Grace.Std() != 30*time.Second || f.Log.Level.Level() != slog.LevelInfo || f.Log.Format != FormatText {
		t.Errorf("got %v and %v, want 30s, info and text", f.Process, f.Log)
	}
}

func TestProcessTables(t *testing.T) {
	f := parse(t, "log.level = \"error\"\nlog.format = \"json\"\nprocess = {grace = \"0s\"}\n"+pipeline+"[policy.all]")
	if f.Process.Grace != 0 || f.Log.Level.Level() != slog.LevelError || f.Log.Format != FormatJSON {
		t.Errorf("got %v and %v, want 0s, error and json", f.Process, f.Log)
	}
	for _, v := range []any{Log{}, Process{}, PipelineTable{}} {
		if errs := checkOptions(reflect.TypeOf(v), nil, nil); errs != nil {
			t.Errorf("%T: got %v, want nil", v, errs)
		}
	}
}

func TestKindsAndReferences(t *testing.T) {
	f := parse(t, `
[pipeline.second]
chain = ["inbound.shadowsocks", "outbound.near", "outbound.far"]
[pipeline.first]
chain = ["policy.all", "inbound.socks5", "resolver.dns", "policy.late", "outbound.freedom"]
[inbound.shadowsocks]
listen    = ":2"
cipher    = "aead_aes_256_gcm"
transport = ["front", "tls", "front"]
[inbound.socks5]
listen = ":1"
[cipher.aead_aes_256_gcm]
password = "correct horse"
[transport.front]
kind = "tls"
[transport.tls]
[resolver.dns]
named = { "b" = "far", "a" = "near" }
[policy.all]
[policy.late]
kind = "all"
[outbound]
freedom = {}
near = { kind = "ss", server = "a:1", cipher = "aead_aes_256_gcm" }
far  = { kind = "ss", server = "b:1" }
`)
	kind := func(s core.Section, name string) string { return f.Components[ID{s, name}].Kind }
	if got := []string{kind("inbound", "shadowsocks"), kind("cipher", "aead_aes_256_gcm"), kind("outbound", "freedom")}; !reflect.DeepEqual(got, []string{"ss", "aes-256-gcm", "direct"}) {
		t.Errorf("got kinds %q, want those that the aliases stand for", got)
	}
	for _, tc := range []struct {
		of   ID
		want []ID
	}{
		{ID{"inbound", "shadowsocks"}, []ID{{"transport", "front"}, {"transport", "tls"}, {"cipher", "aead_aes_256_gcm"}}},
		{ID{"resolver", "dns"}, []ID{{"outbound", "near"}, {"outbound", "far"}}},
		{ID{"outbound", "far"}, nil},
	} {
		if got := f.Components[tc.of].Refs; !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got refs %v, want %v", tc.of, got, tc.want)
		}
	}
	if len(f.Warnings) != 0 {
		t.Errorf("got %v, want no warning", f.Warnings)
	}
	second, first := f.Pipelines[0], f.Pipelines[1]
	for _, tc := range []struct {
		name      string
		got, want []ID
	}{
		{"inbound", []ID{first.Inbound()}, []ID{{"inbound", "socks5"}}},
		{"gates", first.Gates(), []ID{{"policy", "all"}}},
		{"middleware", first.Middleware(), []ID{{"resolver", "dns"}, {"policy", "late"}}},
		{"outbounds", first.Outbounds(), []ID{{"outbound", "freedom"}}},
		{"no gates", second.Gates(), []ID{}},
		{"no middleware", second.Middleware(), []ID{}},
		{"hops", second.Outbounds(), []ID{{"outbound", "near"}, {"outbound", "far"}}},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := pipeline + "[policy.all]\npassword = \"correct horse\"\n"
	demo := "[inbound.socks5]\nlisten = \"127.0.0.1:1\"\n[outbound.ss]\nserver = \"127.0.0.1:2\"\ncipher = \"aes-256-gcm\"\n" +
		"[cipher.aes-256-gcm]\npassword = \"correct horse\"\n[pipeline.p]\nchain = [\"inbound.socks5\", \"outbound.ss\"]\n"
	warning := ":8:12: policy.all.password: every user of this machine may read this file and its secrets; take that right away with chmod o-r"
	for _, tc := range []struct {
		name, path, want string
	}{
		{"good", write("good", pipeline+"[policy.all]", 0o644), "ok"},
		{"secret", write("secret", secret, 0o600), "ok"},
		{"secret for all", write("public", secret, 0o644), "ok\nwarning: " + filepath.Join(dir, "public") + warning},
		{"demo for all", write("demo", demo, 0o644), "ok"},
		{"login of a demo for all", write("login", strings.Replace(secret, `":1"`, `"127.0.0.1:1"`, 1), 0o644), "ok\nwarning: " + filepath.Join(dir, "login") + warning},
		{"mistake", write("bad", "x", 0o600), filepath.Join(dir, "bad") + ":1:1: want = after the key"},
		{"missing", filepath.Join(dir, "none"), "read " + filepath.Join(dir, "none") + ": no such file or directory"},
		{"directory", dir, "read " + dir + ": it is a directory"},
		{"no end", "/dev/zero", "/dev/zero:1:1: larger than 4 MiB; is this the right file?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Load(tc.path, kinds())
			if got := strings.TrimSuffix(report(f, err), "\n"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
