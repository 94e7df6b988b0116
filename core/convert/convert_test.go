package convert_test

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/convert/converttest"
	"github.com/umbra-proxy/umbra/core/link"
)

// What is written is read again, whatever the texts are.
func TestDocument(t *testing.T) {
	values := map[string]any{
		"text": "a \"quoted\" one\nwith \\ and # and ü and \x01", "number": int64(7), "switch": true,
		"list": []any{"a", "b, ] }"}, "table": map[string]any{"a b": "] = [", "next": map[string]any{"x": int64(1)}},
	}
	var d convert.Document
	d.Say("first\nsecond")
	table := d.Table("inbound.local")
	table.Say("of the table")
	table.Set("number", 3)
	for _, key := range []string{"text", "number", "switch", "list", "table"} {
		table.Set(key, values[key])
	}
	text := d.String()
	var read, want map[string]any
	if err := toml.Unmarshal([]byte(text), &read); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	want = map[string]any{"inbound": map[string]any{"local": values}}
	var a, b strings.Builder
	_, _ = toml.NewEncoder(&a).Encode(read), toml.NewEncoder(&b).Encode(want)
	if a.String() != b.String() {
		t.Errorf("got\n%s\nwant\n%s", a.String(), b.String())
	}
	if !strings.HasPrefix(text, "# first\n# second\n\n# of the table\n[inbound.local]\nnumber = 7\ntext") {
		t.Errorf("got\n%s", text)
	}
}

// Names of components are those of people, as far as names go, and no two are the same.
func TestName(t *testing.T) {
	var d convert.Document
	for _, tc := range []struct{ called, want string }{
		{"Oslo 1 (fast)", "oslo-1-fast"}, {"oslo-1-fast", "oslo-1-fast-2"}, {"東京", "outbound"}, {"", "outbound-2"}, {"--a_b", "a_b"},
	} {
		if got := d.Name("outbound", tc.called); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.called, got, tc.want)
		}
	}
}

func TestMethod(t *testing.T) {
	reg := converttest.Registry()
	for _, tc := range []struct{ method, want, err string }{
		{"AES-256-GCM", "aes-256-gcm", ""},
		{"mbedtls:aes-256-cfb128", "aes-256-cfb", ""},
		{"plain", "none", ""},
		{"rc4-md5", "rc4-md5", ""},
		{"rc4", "", "use chacha20-ietf-poly1305"},
		{"camellia-256-cfb", "", "method camellia-256-cfb is not supported"},
		{"aes-256-gcn", "", `method "aes-256-gcn" is not known`},
	} {
		got, err := convert.Method(reg, tc.method)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: got %q, %v", tc.method, got, err)
		}
	}
}

// A server becomes components that a file may have.
func TestServer(t *testing.T) {
	for _, s := range []link.Server{
		{Name: "Oslo", Host: "2001:db8::1", Port: 8388, Method: "aes-256-gcm", Password: `pass"word of some length`},
		{Host: "example.net", Port: 443, Method: "rc4-md5", Password: "old"},
	} {
		var d convert.Document
		name, err := d.Server(converttest.Registry(), s)
		if err != nil {
			t.Fatal(err)
		}
		d.Table("inbound.socks5").Set("listen", "127.0.0.1:1080")
		d.Table("pipeline.local").Set("chain", []string{"inbound.socks5", "outbound." + name})
		if _, err := config.Parse("made.toml", []byte(d.String()), converttest.Registry()); err != nil {
			t.Errorf("%v\n%s", err, d.String())
		}
	}
}
