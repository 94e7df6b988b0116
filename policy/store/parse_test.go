package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func alike(a, b Entry) bool {
	return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && a.At.Equal(b.At) && a.Until.Equal(b.Until)
}

func sample() Entry {
	return Entry{Key: "ban/192.0.2.1", Value: []byte("3"), At: time.Unix(1_800_000_000, 7), Until: time.UnixMilli(1_800_000_123_456)}
}

// FuzzParseEntry reads arbitrary records: what is read is a good entry, and is written
// as it was.
func FuzzParseEntry(f *testing.F) {
	good := appendEntry(nil, sample())
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good[:17])
	f.Add(append(good[:16:16], 0xff, 0xff))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, ok := parseEntry(data)
		if !ok {
			return
		}
		if err := e.check(); err != nil {
			t.Errorf("got %+v: %v", e, err)
		}
		if again := appendEntry(nil, e); !bytes.Equal(again, data) {
			t.Errorf("got %x again for %x", again, data)
		}
	})
}

// FuzzParseRedis reads arbitrary strings and messages: what is read is a good entry,
// and can be written and read again.
func FuzzParseRedis(f *testing.F) {
	key, value := keyPrefix+sample().Key, string(appendRedis(nil, sample()))
	f.Add(key, value)
	f.Add(key, value[:entryHead])
	f.Add("other:key", value)
	f.Add(key, strings.Replace(value, "0", "-", 1))
	f.Add(key, strings.Replace(value, "0", "9", 2))
	f.Fuzz(func(t *testing.T, key, value string) {
		told, fromMessage := parseChange(fmt.Sprintf("%04d%s%s", len(key), key, value))
		e, ok := parseRedis(key, value)
		if fromMessage != ok && len(key) < 10_000 || ok && !alike(e, told) {
			t.Errorf("got %+v, %t from the message, want %+v, %t", told, fromMessage, e, ok)
		}
		_, _ = parseChange(value) // must not panic
		if !ok {
			return
		}
		if err := e.check(); err != nil {
			t.Errorf("got %+v: %v", e, err)
		}
		again, ok := parseRedis(keyPrefix+e.Key, string(appendRedis(nil, e)))
		if !ok || !alike(again, e) {
			t.Errorf("got %+v again for %+v", again, e)
		}
	})
}

func TestPlace(t *testing.T) {
	for _, tc := range []struct {
		text, want, err string
	}{
		{"memory", "memory", ""},
		{"file:/var/lib/umbra/bans", "file:/var/lib/umbra/bans", ""},
		{"redis://127.0.0.1:6379", "redis://127.0.0.1:6379", ""},
		{"redis://:secret@127.0.0.1:6379/2", "redis://:xxxxx@127.0.0.1:6379/2", ""},
		{"rediss://user:secret@host", "rediss://user:xxxxx@host", ""},
		{"unix://:secret@/run/redis.sock?db=1", "unix://:xxxxx@/run/redis.sock?db=1", ""},
		{"", "", "unknown store"},
		{"file:", "", "has no path"},
		{"file", "", "unknown store"},
		{"http://:secret@host", "", "unknown store"},
		{"redis:/:secret@host", "", "unknown store"},
		{"redis+sentinel://:secret@a,b:1,[2001:db8::1]:2/main/3?sentinel_user=x&sentinel_password_file=/p", "redis+sentinel://:xxxxx@a,b:1,[2001:db8::1]:2/main/3?sentinel_user=x&sentinel_password_file=/p", ""},
		{"rediss+cluster://u:secret@a,b?ca_file=/ca&server_name=redis.test", "rediss+cluster://u:xxxxx@a,b?ca_file=/ca&server_name=redis.test", ""},
		{"redis://user@host?password_file=/a@b", "redis://user@host?password_file=/a@b", ""},
		{"redis://:sec%2Fr%40t@host", "redis://:xxxxx@host", ""},
		{"redis://:secret@host:port", "", `the port of "host" is not a number from 1 to 65535`},
		{"redis://host:0", "", "from 1 to 65535"},
		{"redis://host:65536", "", "from 1 to 65535"},
		{"redis://host:6379:1", "", "an IPv6 address stands in brackets"},
		{"redis://2001:db8::1", "", "an IPv6 address stands in brackets"},
		{"redis://:secret", "", "no host"},
		{"redis://", "", "no host"},
		{"redis://a b", "", "invalid host"},
		{"redis://a,b", "", "several hosts"},
		{"redis://:secret@host/x", "", `the database "x" is not a number`},
		{"redis://:secret@host/-1", "", `the database "-1" is not a number`},
		{"unix:///s?db=x", "", `the database "x" is not a number`},
		{"redis://:secret@host/0?pool=1", "", `unknown option "pool": want db, password_file`},
		{"redis://host?ca_file=/ca", "", "ca_file needs TLS"},
		{"rediss://host?skip_verify=true", "", "skip_verify is not supported"},
		{"redis://host?db=1&db=2", "", "given twice"},
		{"redis://host?password_file=", "", "no valid value"},
		{"redis://:secret@host?password_file=/p", "", "both a password and password_file"},
		{"redis+cluster://a/1", "", "a cluster has database 0 alone"},
		{"redis+sentinel://a", "", "no name of a master"},
		{"redis://:sec/ret@host", "", "are written %2F"},
		{"redis://:sec?ret@host", "", "are written %2F"},
		{"redis://:sec#ret@host", "", "are written %2F"},
		{"redis://:sec@ret@host", "", "are written %2F"},
		{"redis://:sec%ret@host", "", "are written %2F"},
		{"redis://:secret@host/0#x", "", "are written %2F"},
		{"redis://:sec\x7fret@host", "", "control character"},
		{"unix://host/run/redis.sock", "", "want an absolute path"},
		{"unix://", "", "no path of a socket"},
	} {
		var p Place
		err := p.UnmarshalText([]byte(tc.text))
		if got := p.String(); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.text, got, tc.want)
		}
		if (err == nil) != (tc.err == "") || err != nil && (!strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "sec") || err != nil && strings.Contains(err.Error(), "ret@")) {
			t.Errorf("%q: got error %v, want %q without the password", tc.text, err, tc.err)
		}
	}
	for text, want := range map[string]string{"": "<nil>", "memory": "<nil>", "file:" + t.TempDir() + "/x": "*store.File", "redis://host": "*store.Redis"} {
		s, err := Place{text}.Open(slog.New(slog.DiscardHandler))
		if got := fmt.Sprintf("%T", s); got != want || err != nil {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
}

// FuzzPlace reads arbitrary places: what is taken can be opened, and no text shows a
// password.
func FuzzPlace(f *testing.F) {
	for _, text := range []string{"memory", "file:/x", "redis://:secret@host:1/2", "rediss://u:p@[::1]", "unix:///run/redis.sock", "redis://", "redis://:%zz@h", "", "redis+sentinel://a,b/m/1", "rediss+cluster://u:p@a,b?server_name=x", "redis://u@h/?password_file=/x@y"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p Place
		if err := p.UnmarshalText([]byte(text)); err != nil {
			if p != (Place{}) {
				t.Errorf("got %+v and %v", p, err)
			}
			return
		}
		if strings.HasPrefix(text, "file:") {
			return // opening would read it
		}
		if _, err := p.Open(slog.New(slog.DiscardHandler)); err != nil && !strings.Contains(text, "_file") {
			t.Errorf("%q is taken and can't be opened: %v", text, err)
		}
		var again Place
		if err := again.UnmarshalText([]byte(p.String())); err != nil || again.String() != p.String() {
			t.Errorf("%q prints as %q, which reads as %q, %v", text, p, again, err)
		}
	})
}
