package tls

import (
	"bytes"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
)

func TestNewReportsTheKey(t *testing.T) {
	ca := newAuthority(t)
	id, other := ca.issue(t, "example.test"), ca.issue(t, "example.test")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, text)
		return path
	}
	empty := file("empty.pem", "\n")
	text := file("text.pem", "no certificate\n")
	broken := file("broken.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1, 2, 3}})))
	locked := file("locked.pem", string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}})))
	badKey := file("badkey.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1, 2, 3}})))
	missing := filepath.Join(dir, "missing.pem")

	for _, tc := range []struct {
		name    string
		options Options
		key     string // "" for no error
		text    string // part of the error
	}{
		{"nothing", Options{}, "", ""},
		{"server", Options{Cert: id.file, Key: id.key}, "", ""},
		{"both in one file", Options{Cert: file("both.pem", readText(t, id.key)+readText(t, id.file)), Key: filepath.Join(dir, "both.pem")}, "", ""},
		{"all", Options{Cert: id.file, Key: id.key, ClientCA: ca.file, CA: ca.file, ServerName: "example.test", ALPN: []string{"h2"}}, "", ""},
		{"cert alone", Options{Cert: id.file}, "key", "missing"},
		{"key alone", Options{Key: id.key}, "cert", "missing"},
		{"client_ca without cert", Options{ClientCA: ca.file}, "client_ca", "need cert"},
		{"missing cert", Options{Cert: missing, Key: id.key}, "cert", missing + ": no such file"},
		{"missing key", Options{Cert: id.file, Key: missing}, "key", missing + ": no such file"},
		{"cert is a folder", Options{Cert: dir, Key: id.key}, "cert", "is not a file"},
		{"empty cert", Options{Cert: empty, Key: id.key}, "cert", "is empty"},
		{"text as cert", Options{Cert: text, Key: id.key}, "cert", "no PEM certificate"},
		{"broken cert", Options{Cert: broken, Key: id.key}, "cert", "certificate 1 of"},
		{"key as cert", Options{Cert: id.key, Key: id.key}, "cert", "no PEM certificate"},
		{"cert as key", Options{Cert: id.file, Key: id.file}, "key", "no PEM private key"},
		{"locked key", Options{Cert: id.file, Key: locked}, "key", "passphrase"},
		{"broken key", Options{Cert: id.file, Key: badKey}, "key", badKey},
		{"another's key", Options{Cert: id.file, Key: other.key}, "key", "does not match"},
		{"missing client_ca", Options{Cert: id.file, Key: id.key, ClientCA: missing}, "client_ca", "no such file"},
		{"empty client_ca", Options{Cert: id.file, Key: id.key, ClientCA: empty}, "client_ca", "is empty"},
		{"empty ca", Options{CA: empty}, "ca", "is empty"},
		{"text as ca", Options{CA: text}, "ca", "no PEM certificate"},
		{"half good ca", Options{CA: file("half.pem", readText(t, ca.file)+readText(t, broken))}, "ca", "certificate 2 of"},
		{"bad name", Options{ServerName: "ex ample"}, "server_name", "ex ample"},
		{"empty alpn", Options{ALPN: []string{""}}, "alpn", "0 bytes"},
		{"long alpn", Options{ALPN: []string{strings.Repeat("a", 256)}}, "alpn", "256 bytes"},
		{"alpn twice", Options{ALPN: []string{"a", "b", "a"}}, "alpn", "twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(core.Env{Log: slog.New(slog.DiscardHandler), Process: new(core.Process)}, tc.options)
			oe, ok := errors.AsType[*core.OptionError](err)
			switch {
			case tc.key == "" && err != nil:
				t.Fatalf("got error %v, want none", err)
			case tc.key == "":
			case !ok || oe.Key != tc.key || !strings.Contains(oe.Error(), tc.text):
				t.Errorf("got %v, want key %s and text with %q", err, tc.key, tc.text)
			}
		})
	}
}

func TestNewRefusesUnreadableKey(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads every file")
	}
	id := selfSigned(t, "example.test")
	if err := os.Chmod(id.key, 0); err != nil {
		t.Fatal(err)
	}
	_, err := New(core.Env{Log: slog.New(slog.DiscardHandler), Process: new(core.Process)}, Options{Cert: id.file, Key: id.key})
	if oe, ok := errors.AsType[*core.OptionError](err); !ok || oe.Key != "key" {
		t.Errorf("got %v, want an error of key", err)
	}
}

// A file may end up in an option by mistake; its text must not end up in a log.
func TestErrorsHoldNoKeyMaterial(t *testing.T) {
	id := selfSigned(t, "example.test")
	body := strings.Split(readText(t, id.key), "\n")[1]
	dir := t.TempDir()
	for _, tc := range []struct{ name, text string }{
		{"cut off", "-----BEGIN PRIVATE KEY-----\n" + body},
		{"no armour", body},
		{"half a key", "-----BEGIN PRIVATE KEY-----\n" + body + "\n-----END PRIVATE KEY-----\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(dir, "key.pem")
			writeFile(t, path, tc.text)
			for _, o := range []Options{{Cert: id.file, Key: path}, {Cert: path, Key: id.key}, {CA: path}} {
				_, err := New(core.Env{Log: slog.New(slog.DiscardHandler), Process: new(core.Process)}, o)
				if err == nil {
					t.Fatal("got no error")
				}
				if strings.Contains(err.Error(), body[:16]) {
					t.Errorf("got the key in %q", err)
				}
			}
		})
	}
}

func TestNewWarnsOfDates(t *testing.T) {
	ca := newAuthority(t)
	id := ca.issue(t, "example.test")
	for _, tc := range []struct {
		name string
		now  time.Time
		want string // in the log
	}{
		{"valid", time.Now(), ""},
		{"expired", time.Now().AddDate(1, 0, 0), "certificate has expired"},
		{"too early", time.Now().AddDate(-1, 0, 0), "certificate is not valid yet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			o := Options{Cert: id.file, Key: id.key}
			if _, err := newTransport(new(follow.Files), "test", slog.New(slog.NewTextHandler(&log, nil)), o, func() time.Time { return tc.now }); err != nil {
				t.Fatal(err)
			}
			if got := log.String(); !strings.Contains(got, tc.want) || (tc.want == "") != (got == "") {
				t.Errorf("got log %q, want %q in it", got, tc.want)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	ca := newAuthority(t)
	id := ca.issue(t, "example.test")
	server := Options{Cert: id.file, Key: id.key}
	guarded := Options{Cert: id.file, Key: id.key, ClientCA: ca.file}
	mutual := guarded
	mutual.CA = ca.file
	for _, tc := range []struct {
		name           string
		options        Options
		server, client string // key of the error, or ""
	}{
		{"system roots", Options{}, "cert", ""},
		{"client", Options{CA: ca.file}, "cert", ""},
		{"server", server, "", ""},
		{"server with client_ca", guarded, "", "client_ca"},
		{"both", mutual, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := newPlain(t, tc.options)
			wire, peer := tcpPair(t)
			peer.Close()
			_, use := tr.Server(t.Context(), wire)
			checkKeyOf(t, "CheckServer", tr.CheckServer(), tc.server)
			if tc.server != "" {
				checkKeyOf(t, "Server", use, tc.server)
			}
			checkKeyOf(t, "CheckClient", tr.CheckClient(), tc.client)
			if tc.client != "" {
				_, use = tr.Client(t.Context(), wire, core.Addr{})
				checkKeyOf(t, "Client", use, tc.client)
			}
		})
	}
}

func checkKeyOf(t *testing.T, what string, err error, key string) {
	t.Helper()
	oe, ok := errors.AsType[*core.OptionError](err)
	if key == "" && err != nil || key != "" && (!ok || oe.Key != key) {
		t.Errorf("%s: got %v, want an error of key %q", what, err, key)
	}
}
