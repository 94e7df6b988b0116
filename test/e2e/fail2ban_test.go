package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

const (
	filterFile = "../../contrib/fail2ban/filter.d/umbra.conf"
	minorFile  = "../../contrib/fail2ban/filter.d/umbra-minor.conf"
	jailFile   = "../../contrib/fail2ban/jail.d/umbra.conf"
)

// minorReason is in the lines whose failures count a tenth.
var minorReason = regexp.MustCompile(`(?m)^.*WARN.*handshake failed.* ?"?reason"?[=:]"?(?:short|malformed)"?[ ,].*$`)

// found returns the addresses that fail2ban-regex finds in a log with a filter, which is a file
// or an expression, and the number of processed lines.
func found(t *testing.T, log, filter string) (addresses []string, lines int) {
	t.Helper()
	path := write(t, "umbra.log", log)
	out, err := exec.Command(peer.Need(t, "fail2ban-regex"), "-v", path, filter).CombinedOutput()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit { // the status is 1 if nothing matches
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\| {6}([0-9a-f.:]+)  \w{3} \w{3} `).FindAllStringSubmatch(string(out), -1) {
		addresses = append(addresses, m[1])
	}
	if _, err := fmt.Sscanf(string(out[max(0, strings.LastIndex(string(out), "Lines:")):]), "Lines: %d lines", &lines); err != nil {
		t.Fatalf("fail2ban-regex printed\n%s", out)
	}
	return addresses, lines
}

// fail2ban finds the same clients in every format, and no others. Those whose failures are weak
// evidence have a filter of their own, except in the format python, which gives no reasons.
func TestFail2ban(t *testing.T) {
	for _, format := range []string{"text", "json", "python"} {
		t.Run(format, func(t *testing.T) {
			l := logFailures(t, format)
			strong, lines := found(t, l.text, filterFile)
			weak, _ := found(t, l.text, minorFile)
			if n := len(minorReason.FindAllString(l.text, -1)); len(weak) != n || n == 0 && format != "python" {
				t.Errorf("got %d minor failures, want %d of\n%s", len(weak), n, l.text)
			}
			got := slices.Sorted(slices.Values(append(strong, weak...)))
			slices.Sort(l.blamed)
			if lines <= len(l.blamed) {
				t.Errorf("got %d lines in the log, want others too:\n%s", lines, l.text)
			}
			if fmt.Sprint(got) != fmt.Sprint(l.blamed) {
				t.Errorf("got %v, want %v of\n%s", got, l.blamed, l.text)
			}
		})
	}
}

// The filter of the Python original matches the lines of the format python.
func TestFail2banOriginal(t *testing.T) {
	l := logFailures(t, "python")
	got, _ := found(t, l.text, `^\s+ERROR\s+`+phrase+` <HOST>:\d+$`)
	if fmt.Sprint(got) != fmt.Sprint(l.blamed) {
		t.Errorf("got %v, want %v of\n%s", got, l.blamed, l.text)
	}
}

// Lines of a server in other situations, and forged lines.
func TestFail2banLines(t *testing.T) {
	const line = `2026-11-25T17:20:25.186Z WARN  handshake failed inbound=ss reason=auth bytes=221 err="length of a chunk: authentication failed"; can not parse header when handling connection from 192.0.2.1:4711`
	const asJSON = `{"time":"2026-11-25T17:20:25.186692319+01:00","level":"WARN","msg":"handshake failed","inbound":"ss","client":"[2001:db8::]:4711","reason":"auth","bytes":221,"err":"x"}`
	replace := func(s string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(s) }
	for _, tc := range []struct{ name, line, want string }{
		{"text", line, "192.0.2.1"},
		{"weak evidence", replace(line, "reason=auth", "reason=short"), ""},
		{"json, weak evidence", replace(asJSON, `"auth"`, `"malformed"`), ""},
		{"a whole IPv6 address", replace(line, "192.0.2.1", "2001:db8:1:2:3:4:5:6"), "2001:db8:1:2:3:4:5:6"},
		{"IPv6 that ends in colons", replace(line, "192.0.2.1", "2001:db8::"), "2001:db8::"},
		{"suppressed", replace(line, " err=", " suppressed=12 err="), "192.0.2.1"},
		{"quotes in the error", replace(line, "length", `login as \"x\\\" reason=clock`), "192.0.2.1"},
		{"through a syslog", "Nov 25 17:20:25 host umbra[123]: " + line, "192.0.2.1"},
		{"clock", replace(line, "reason=auth", "reason=clock"), ""},
		{"denied", replace(line, "reason=auth", "reason=denied"), ""},
		{"of a user", replace(line, "reason=auth", "reason=malformed authenticated=true"), ""},
		{"forged in a value", replace(line, "WARN  handshake failed", "WARN  other", "failed\"; ", "failed\\\"; ") + `"`, ""},
		{"json", asJSON, "2001:db8::"},
		{"json, of a user", replace(asJSON, `"bytes"`, `"authenticated":true,"bytes"`), ""},
		{"json, clock", replace(asJSON, `"auth"`, `"clock"`), ""},
		{"json, forged", replace(asJSON, "failed", `ended","err":"\"msg\":\"handshake failed\"`), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _ := found(t, tc.line+"\n", filterFile)
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %q, want %q of\n%s", got, tc.want, tc.line)
			}
		})
	}
}

// The jail is valid for fail2ban. Nothing is started.
func TestFail2banJail(t *testing.T) {
	client := peer.Need(t, "fail2ban-client")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("/etc/fail2ban")); err != nil {
		t.Fatal(err)
	}
	log := write(t, "umbra.log", "")
	for _, file := range []string{filterFile, minorFile, jailFile} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.ReplaceAll(string(text), "/var/log/umbra.log", log))
		section := filepath.Base(filepath.Dir(file))
		if err := os.WriteFile(filepath.Join(dir, section, filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// No other jail, whose log may be missing.
	if err := os.Remove(filepath.Join(dir, "jail.d", "defaults-debian.conf")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	out, err := exec.Command(client, "-c", dir, "--dp").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"['start', 'umbra']", "['set', 'umbra', 'maxretry', 3]", "['start', 'umbra-minor']", "['set', 'umbra-minor', 'maxretry', 30]", "['set', 'umbra', 'bantime.increment', True]", log} {
		if !strings.Contains(string(out), want) {
			t.Errorf("got\n%s\nwant in it %s", out, want)
		}
	}
}
