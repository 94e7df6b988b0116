package autoban

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

const (
	textLine   = `2026-11-25T17:20:25.186Z WARN  handshake failed inbound=ss reason=auth bytes=221 err="length of a chunk: authentication failed"; can not parse header when handling connection from 192.0.2.1:4711`
	pythonLine = `2026-11-25 17:20:25 ERROR    can not parse header when handling connection from 192.0.2.1:4711`
	jsonLine   = `{"time":"2026-11-25T17:20:25.186692319Z","level":"WARN","msg":"handshake failed","inbound":"ss","client":"192.0.2.1:4711","reason":"auth","bytes":221,"err":"length of a chunk: authentication failed"}`
)

// lines are lines of all formats, each with the client that counts as failed, or "".
var lines = []struct{ name, line, want string }{
	{"text", textLine, "192.0.2.1/32"},
	{"text, IPv6", strings.ReplaceAll(textLine, "192.0.2.1", "2001:db8:1:2::7"), "2001:db8:1:2::/64"},
	{"text, IPv6 that ends in colons", strings.ReplaceAll(textLine, "192.0.2.1", "2001:db8:1:2::"), "2001:db8:1:2::/64"},
	{"text, IPv4 in IPv6", strings.ReplaceAll(textLine, "192.0.2.1", "::ffff:192.0.2.1"), "192.0.2.1/32"},
	{"text, all groups", strings.ReplaceAll(textLine, "192.0.2.1", "2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64"},
	{"text behind a journal's words", "Nov 25 17:20:25 host umbra[123]: " + textLine, "192.0.2.1/32"},
	{"text, suppressed", strings.Replace(textLine, " err=", " suppressed=9 err=", 1), "192.0.2.1/32"},
	{"text, end of line", textLine + " \r\n", "192.0.2.1/32"},
	{"text, reason in the error", strings.Replace(textLine, "length of a chunk", " reason=clock authenticated=true", 1), "192.0.2.1/32"},
	{"text, clock", strings.Replace(textLine, "reason=auth", "reason=clock", 1), ""},
	{"text, denied", strings.Replace(textLine, "reason=auth", "reason=denied", 1), ""},
	{"text, of a user", strings.Replace(textLine, "reason=auth", "reason=malformed authenticated=true", 1), ""},
	{"python", pythonLine, "192.0.2.1/32"},
	{"python, IPv6", strings.ReplaceAll(pythonLine, "192.0.2.1", "2001:db8::1"), "2001:db8::/64"},
	{"python, IPv6 in brackets", strings.ReplaceAll(pythonLine, "192.0.2.1", "[2001:db8::1]"), "2001:db8::/64"},
	{"python without a time", pythonLine[len("2026-11-25 17:20:25 "):], "192.0.2.1/32"},
	{"json", jsonLine, "192.0.2.1/32"},
	{"json, IPv6", strings.ReplaceAll(jsonLine, "192.0.2.1", "[2001:db8::1]"), "2001:db8::/64"},
	{"json, clock", strings.Replace(jsonLine, `"auth"`, `"clock"`, 1), ""},
	{"json, of a user", strings.Replace(jsonLine, `"bytes"`, `"authenticated":true,"bytes"`, 1), ""},
	{"json, other event", strings.Replace(jsonLine, "handshake failed", "stream closed", 1), ""},
	{"json, a visit", strings.Replace(jsonLine, `"reason":"auth",`, "", 1), ""},
	{"json, no client", strings.Replace(jsonLine, "client", "other", 1), ""},
	{"json, forged in the error", strings.Replace(strings.Replace(jsonLine, "handshake failed", "other", 1), "length", `\",\"msg\":\"handshake failed`, 1), ""},
	{"json, cut off", jsonLine[:80], ""},
	{"forged in a user's name", `2026-11-25T17:20:25.186Z INFO  stream closed user="x; can not parse header when handling connection from 192.0.2.9:80"`, ""},
	{"forged in an error of a true line", strings.Replace(textLine, "length", "; can not parse header when handling connection from 192.0.2.9:80", 1), "192.0.2.1/32"},
	{"not at the end", pythonLine + " and more", ""},
	{"words before it", "2026-11-25 17:20:25 INFO     somebody said can not parse header when handling connection from 192.0.2.1:4711", ""},
	{"another level", strings.Replace(pythonLine, "ERROR   ", "DEBUG   ", 1), ""},
	{"a command", strings.ReplaceAll(pythonLine, "192.0.2.1", "192.0.2.1;reboot"), ""},
	{"a command in an option", strings.ReplaceAll(pythonLine, "192.0.2.1", "-j"), ""},
	{"a name", strings.ReplaceAll(pythonLine, "192.0.2.1", "localhost"), ""},
	{"octal", strings.ReplaceAll(pythonLine, "192.0.2.1", "192.0.2.010"), ""},
	{"no port", strings.ReplaceAll(pythonLine, ":4711", ""), ""},
	{"empty port", strings.ReplaceAll(pythonLine, ":4711", ":"), ""},
	{"port too high", strings.ReplaceAll(pythonLine, ":4711", ":65536"), ""},
	{"no address", strings.ReplaceAll(pythonLine, "192.0.2.1:4711", ""), ""},
	{"empty", "", ""},
	{"spaces", "   \n", ""},
	{"zeros", strings.Repeat("\x00", 100), ""},
	{"other event", "2026-11-25T17:20:24.241Z INFO  umbra started version=1 pid=22609 pipelines=2", ""},
	{"very long", strings.Repeat("x", 1<<20) + pythonLine[len("2026-11-25 17:20:25"):], "192.0.2.1/32"},
}

func TestParse(t *testing.T) {
	for _, tc := range lines {
		t.Run(tc.name, func(t *testing.T) {
			f, ok := Parse([]byte(tc.line))
			if ok != (tc.want != "") || ok && f.Client.String() != tc.want {
				t.Errorf("got %v, %t, want %q", f.Client, ok, tc.want)
			}
		})
	}
}

// Cut connections and misdirected clients are weak evidence.
func TestParseMinor(t *testing.T) {
	for line, want := range map[string]bool{
		textLine: false, pythonLine: false, jsonLine: false,
		strings.Replace(textLine, "reason=auth", "reason=short", 1):     true,
		strings.Replace(textLine, "reason=auth", "reason=malformed", 1): true,
		strings.Replace(jsonLine, `"auth"`, `"short"`, 1):               true,
	} {
		if f, ok := Parse([]byte(line)); !ok || f.Minor != want {
			t.Errorf("%s: got minor %t, %t, want %t", line, f.Minor, ok, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	utc := time.Date(2026, 11, 25, 17, 20, 25, 186e6, time.UTC)
	for _, tc := range []struct {
		name, line string
		want       time.Time
	}{
		{"text", textLine, utc},
		{"json", jsonLine, utc.Add(692319)},
		{"json elsewhere", strings.Replace(jsonLine, "17:20:25.186692319Z", "18:20:25.186+01:00", 1), utc},
		{"python", pythonLine, time.Date(2026, 11, 25, 17, 20, 25, 0, time.Local)},
		{"none", pythonLine[len("2026-11-25 17:20:25 "):], time.Time{}},
		{"of a journal", "Nov 25 17:20:25 host umbra[123]: " + textLine, time.Time{}},
		{"no date", strings.Replace(pythonLine, "11-25", "13-35", 1), time.Time{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if f, ok := Parse([]byte(tc.line)); !ok || !f.At.Equal(tc.want) {
				t.Errorf("got %s, %t, want %s", f.At, ok, tc.want)
			}
		})
	}
}

// Every accepted line must contain an address that can be banned.
func FuzzParse(f *testing.F) {
	for _, tc := range lines {
		if len(tc.line) < 1000 {
			f.Add([]byte(tc.line))
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		fail, ok := Parse(line)
		if !ok {
			return
		}
		ip := fail.Client.Addr()
		if want := map[bool]int{true: 32, false: 64}[ip.Is4()]; fail.Client.Bits() != want || ip.Is4In6() || ip.Zone() != "" || fail.Client != fail.Client.Masked() {
			t.Errorf("got %v of %q, want a masked /%d", fail.Client, line, want)
		}
		if _, err := netip.ParseAddr(ip.String()); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	})
}
