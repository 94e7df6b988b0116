package link

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestVectors(t *testing.T) {
	var vectors struct {
		Valid []struct {
			URL, Method, Password, Host, Name, Plugin string
			Port                                      int
			Options                                   string `json:"plugin_opts"`
			Legacy                                    bool
		}
		Invalid []string
	}
	text, err := os.ReadFile("testdata/ss_urls.json")
	if err == nil {
		err = json.Unmarshal(text, &vectors)
	}
	if err != nil || len(vectors.Valid) == 0 || len(vectors.Invalid) == 0 {
		t.Fatalf("%v: %d and %d vectors", err, len(vectors.Valid), len(vectors.Invalid))
	}
	for _, v := range vectors.Valid {
		want := Link{Server: Server{Name: v.Name, Host: v.Host, Port: v.Port, Method: v.Method, Password: v.Password, Plugin: v.Plugin, PluginOptions: v.Options}, Legacy: v.Legacy}
		got, err := Parse(v.URL)
		if !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("%s: got %+v, %v, want %+v", v.URL, got, err, want)
		}
		again, err := Parse(got.Server.String())
		if again.Server != got.Server || err != nil {
			t.Errorf("%s written as %s: got %+v, %v", v.URL, got.Server, again.Server, err)
		}
	}
	for _, bad := range vectors.Invalid {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%s: got %+v, want an error", bad, got)
		}
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// What goes wrong with links in the field.
func TestParse(t *testing.T) {
	key := "LvpvPRGFwG6e+kYA5Z40Tw=="
	server := Server{Host: "example.com", Port: 443, Method: "aes-256-gcm", Password: "pw"}
	of := func(edit func(*Server)) Server { s := server; edit(&s); return s }
	for _, tc := range []struct {
		name, text string
		want       Server
		unknown    []string
	}{
		{"capitals and a newline", " SS://" + b64("aes-256-gcm:pw") + "@example.com:443\r\n", server, nil},
		{"padding as %3D", "ss://" + strings.ReplaceAll(b64("aes-256-gcm:pw"), "=", "%3D") + "@example.com:443", server, nil},
		{"colon as %3A", "ss://aes-256-gcm%3Apw@example.com:443", server, nil},
		{"plain, of an old method", "ss://aes-256-gcm:pw@example.com:443", server, nil},
		{"standard alphabet", "ss://" + b64("aes-256-gcm:??>>??") + "@example.com:443", of(func(s *Server) { s.Password = "??>>??" }), nil},
		{"base64 of the 2022 edition", "ss://" + b64("2022-blake3-aes-128-gcm:"+key+":"+key) + "@example.com:443",
			of(func(s *Server) { s.Method, s.Password = "2022-blake3-aes-128-gcm", key+":"+key }), nil},
		{"plain keys with + and =", "ss://2022-blake3-aes-128-gcm:" + key + ":" + key + "@example.com:443",
			of(func(s *Server) { s.Method, s.Password = "2022-blake3-aes-128-gcm", key+":"+key }), nil},
		{"decoded once", "ss://aes-256-gcm:100%2525@example.com:443#100%2525", of(func(s *Server) { s.Password, s.Name = "100%25", "100%25" }), nil},
		{"a name that is not encoded", "ss://aes-256-gcm:pw@example.com:443#100% 東京 #1", of(func(s *Server) { s.Name = "100% 東京 #1" }), nil},
		{"an encoded name", "ss://aes-256-gcm:pw@example.com:443#%E6%9D%B1%E4%BA%AC%20a+b", of(func(s *Server) { s.Name = "東京 a+b" }), nil},
		{"@ in the password", "ss://aes-256-gcm:p@w@example.com:443", of(func(s *Server) { s.Password = "p@w" }), nil},
		{"an empty password", "ss://aes-256-gcm:@example.com:443", of(func(s *Server) { s.Password = "" }), nil},
		{"IPv6", "ss://aes-256-gcm:pw@[2001:db8::1]:443/", of(func(s *Server) { s.Host = "2001:db8::1" }), nil},
		{"unknown arguments", "ss://aes-256-gcm:pw@example.com:443/?outline=1&prefix=%16%03&plugin=v2ray-plugin%3Btls%3Bhost%3Da%5C%3Bb&", of(func(s *Server) {
			s.Plugin, s.PluginOptions = "v2ray-plugin", `tls;host=a\;b`
		}), []string{"outline", "prefix"}},
		{"+ in options", "ss://aes-256-gcm:pw@example.com:443?plugin=x;key=a+b", of(func(s *Server) { s.Plugin, s.PluginOptions = "x", "key=a+b" }), nil},
		{"a plugin without options", "ss://aes-256-gcm:pw@example.com:443?plugin=x", of(func(s *Server) { s.Plugin = "x" }), nil},
		{"the older form", "ss://" + b64("aes-256-gcm:a:b/@c@example.com:443") + "#old", of(func(s *Server) { s.Password, s.Name = "a:b/@c", "old" }), nil},
	} {
		got, err := Parse(tc.text)
		if got.Server != tc.want || err != nil || !slices.Equal(got.Unknown, tc.unknown) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", tc.name, got, err, tc.want, tc.unknown)
		}
		if again, err := Parse(got.Server.String()); again.Server != got.Server || err != nil {
			t.Errorf("%s: written as %s, which is %+v, %v", tc.name, got.Server, again, err)
		}
	}
}

// Errors name the part, and nothing of a password.
func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"https://example.com":                             "begins with ss://",
		"ss://":                                           "no server",
		"ss://aes-256-gcm:secret@example.com":             `server "example.com": want host:port`,
		"ss://aes-256-gcm:secret@example.com:99999":       `port "99999"`,
		"ss://aes-256-gcm:secret@2001:db8::1:443":         "IPv6 address in brackets",
		"ss://aes-256-gcm:secret%zz@example.com:443":      "write %25 for a percent sign",
		"ss://secretsecret@example.com:443":               "want method:password",
		"ss://:secret@example.com:443":                    "no method",
		"ss://aes-256-gcm:secret@:443":                    "no host",
		"ss://aes-256-gcm:secret@a.test:1?plugin=%3Btls":  "plugin: options and no name",
		"ss://aes-256-gcm:secret@a.test:1?plugin=a%zz":    "plugin:",
		"ss://" + b64("aes-256-gcm:secret"):               "no server",
		"ss://" + b64("aes-256-gcm-secret@example.com:1"): "want method:password",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestParseAll(t *testing.T) {
	list := "\ufeffss://aes-256-gcm:a@a.test:1#one\r\n\n# no link\nss://aes-256-gcm:b@b.test:2#two"
	for _, text := range []string{list, b64(list), strings.ReplaceAll(b64(list), "A", "A\n")} {
		all, err := ParseAll(text)
		if err != nil || len(all) != 2 || all[0].Name != "one" || all[1].Host != "b.test" {
			t.Errorf("got %+v, %v", all, err)
		}
	}
	if all, err := ParseAll("ss://aes-256-gcm:a@a.test:1\nhttp://b\n"); len(all) != 1 || err == nil || !strings.Contains(err.Error(), "line 2: a link begins with ss://") {
		t.Errorf("got %+v, %v", all, err)
	}
	if _, err := ParseAll(" \n"); err == nil {
		t.Error("no links: got no error")
	}
}

// FuzzParse: what is read and written is read as the same again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"ss://YWVzLTEyOC1nY206dGVzdA@192.168.100.1:8888#Example1", "ss://a:b%20@[::1]:1/?plugin=x%3By&z#n", "ss://" + b64("a:b@c:1")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err != nil {
			return
		}
		if strings.ContainsAny(l.Method, ":") {
			return // a colon in a method, which only an encoded one can have, is no method's
		}
		again, err := Parse(l.Server.String())
		if err != nil || again.Server != l.Server {
			t.Errorf("%q is %+v, written as %s, which is %+v, %v", text, l.Server, l.Server, again.Server, err)
		}
	})
}
