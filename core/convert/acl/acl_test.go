package acl_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/convert/acl"
	"github.com/umbra-proxy/umbra/core/convert/converttest"
	"github.com/umbra-proxy/umbra/core/engine"
)

func read(t *testing.T, d acl.Dialect, lines ...string) *acl.File {
	t.Helper()
	f, err := acl.Read("x.acl", strings.NewReader(strings.Join(lines, "\n")), d)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEntries(t *testing.T) {
	for _, tc := range []struct {
		dialect  acl.Dialect
		line     string
		name, ip string
	}{
		{acl.Libev, `(^|\.)google\.com$`, "suffix:google.com", ""},
		{acl.Libev, `(?:^|\.)Google\.com$`, "suffix:google.com", ""},
		{acl.Libev, `^(.*\.)?a-b\.example$`, "suffix:a-b.example", ""},
		{acl.Libev, `^www\.example\.org$`, "domain:www.example.org", ""},
		{acl.Libev, `google`, "keyword:google", ""},
		{acl.Libev, `goo\.gl  # a comment`, "keyword:goo.gl", ""},
		{acl.Libev, `google.com`, "regexp:google.com", ""}, // its dot is any letter
		{acl.Libev, `\.cn$`, `regexp:\.cn$`, ""},           // "cn" itself is not in it
		{acl.Libev, `(^|\.)goo.gl$`, `regexp:(^|\.)goo.gl$`, ""},
		{acl.Libev, `^ad[0-9]+\.`, `regexp:^ad[0-9]+\.`, ""},
		{acl.Libev, "10.1.2.3/8", "", "10.0.0.0/8"},
		{acl.Libev, "192.0.2.1", "", "192.0.2.1"},
		{acl.Libev, "2001:DB8::1/32", "", "2001:db8::/32"},
		{acl.Libev, "||example.org", `regexp:||example.org`, ""}, // an expression that matches all, as in libev
		{acl.Rust, "||Example.org", "suffix:example.org", ""},
		{acl.Rust, "|example.org", "domain:example.org", ""},
		{acl.Rust, `(^|\.)example\.org$`, "suffix:example.org", ""},
		{acl.Rust, "fe80::/10", "", "fe80::/10"},
	} {
		f := read(t, tc.dialect, "[bypass_list]", tc.line)
		if got := strings.Join(f.Black.Names, " "); got != tc.name {
			t.Errorf("%s: got name %q, want %q", tc.line, got, tc.name)
		}
		if got := strings.Join(f.Black.Ranges, " "); got != tc.ip {
			t.Errorf("%s: got range %q, want %q", tc.line, got, tc.ip)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		dialect    acl.Dialect
		line, want string
	}{
		{acl.Libev, `^(?!www)`, "x.acl:2: "},
		{acl.Libev, "(bad", "x.acl:2: "},
		{acl.Rust, "||a b", "is no name"},
		{acl.Libev, strings.Repeat("a.", 128) + "x", ""}, // libev skips it too
		{acl.Rust, strings.Repeat("a.", 128) + "x", "longer than 255 bytes"},
	} {
		f, err := acl.Read("x.acl", strings.NewReader("\n"+tc.line), tc.dialect)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.40s: got %v", tc.line, err)
		}
		if tc.want == "" && len(f.Ignored) != 1 {
			t.Errorf("%.40s: got %q ignored", tc.line, f.Ignored)
		}
	}
}

func TestSections(t *testing.T) {
	f := read(t, acl.Rust, "before.example", "[bypass_all]", "[proxy_list]", "p.example", "192.0.2.0/24", "[black_list]", "b.example",
		"[outbound_block_list]", "10.0.0.0/8", "[outbound_allow_list]", "|ok.example", "[outbound_block_all]")
	if !f.Others || !f.Closed || !slices.Equal(f.Black.Names, []string{"regexp:before.example", "regexp:b.example"}) ||
		len(f.White.Names) != 1 || len(f.White.Ranges) != 1 || len(f.Block.Ranges) != 1 || !slices.Equal(f.Allow.Names, []string{"domain:ok.example"}) {
		t.Errorf("got %+v", f)
	}
	f = read(t, acl.Libev, "[reject_all]", "[proxy_all]")
	if f.Others {
		t.Error("the last mode does not hold")
	}
}

// registry has all kinds.
// What is written is a configuration, however many entries there are.
func TestWritten(t *testing.T) {
	lines := []string{"[bypass_all]", "[proxy_list]", `(^|\.)example\.org$`, "198.51.100.0/24", "[bypass_list]", "127.0.0.0/8", "[outbound_block_list]", "10.0.0.0/8", "bad[.]example"}
	for i := range 500 {
		lines = append(lines, fmt.Sprintf("^x%d[a-z]", i))
	}
	for _, d := range []acl.Dialect{acl.Libev, acl.Rust} {
		if d == acl.Rust {
			lines = append(lines, "[outbound_allow_list]", "||good.example", "[outbound_block_all]")
		}
		f := read(t, d, lines...)
		var doc convert.Document
		doc.Table("resolver.system")
		doc.Table("outbound.direct").Set("allow", []string{"0.0.0.0/0", "::/0"})
		doc.Table("outbound.proxy").Set("kind", "block")
		route := f.Client(&doc, "proxy", "direct", "system")
		doc.Table("inbound.socks5").Set("listen", "127.0.0.1:1080")
		doc.Table("pipeline.local").Set("chain", []string{"inbound.socks5", "outbound." + route})
		doc.Table("inbound.second").Set("kind", "socks5")
		doc.Table("inbound.second").Set("listen", "127.0.0.1:1081")
		doc.Table("pipeline.server").Set("chain", append([]string{"inbound.second"}, f.Server(&doc, "direct", "system")...))
		file, err := config.Parse("made.toml", []byte(doc.String()), converttest.Registry())
		if err == nil {
			err = engine.Check(converttest.Registry(), file, slog.New(slog.DiscardHandler))
		}
		if err != nil {
			t.Errorf("%v\n%s", err, doc.String())
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("[bypass_all]\n[proxy_list]\n(^|\\.)a\\.b$\n10.0.0.0/8 # x", true)
	f.Add("||a.b\n|c\n\xff", false)
	f.Fuzz(func(t *testing.T, text string, libev bool) {
		d := acl.Rust
		if libev {
			d = acl.Libev
		}
		file, err := acl.Read("x", strings.NewReader(text), d)
		if err != nil {
			return
		}
		var doc convert.Document
		file.Client(&doc, "proxy", "direct", "system")
		file.Server(&doc, "direct", "system")
		_ = doc.String()
	})
}

// A list of all networks of a country is read in milliseconds.
func BenchmarkRanges(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "%d.%d.%d.0/24\n", 1+i/65536, i/256%256, i%256)
	}
	reg := converttest.Registry()
	for b.Loop() {
		f, err := acl.Read("x", strings.NewReader(text.String()), acl.Libev)
		if err != nil {
			b.Fatal(err)
		}
		var doc convert.Document
		doc.Table("resolver.system")
		doc.Table("outbound.direct")
		doc.Table("outbound.proxy").Set("kind", "block")
		doc.Table("inbound.socks5").Set("listen", "127.0.0.1:1080")
		doc.Table("pipeline.local").Set("chain", []string{"inbound.socks5", "outbound." + f.Client(&doc, "proxy", "direct", "system")})
		if _, err := config.Parse("made.toml", []byte(doc.String()), reg); err != nil {
			b.Fatal(err)
		}
	}
}
