package option_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

const secret = "hunter2"

// A secret must not show however someone prints it, or what holds it.
func TestTextIsRedacted(t *testing.T) {
	text := option.Text(secret)
	held := struct {
		Users map[string]option.Text
		One   option.Text
		At    *option.Text
		option.Password
	}{map[string]option.Text{"bob": text}, text, &text, option.Password{Password: text}}
	for _, v := range []any{text, &text, held, &held, held.Users, []option.Text{text}, error(core.BadOption("k", "%v", text))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%t", "%08b", "%-20s|"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, secret) || strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T: got %s", verb, v, got)
			}
		}
		for _, got := range []string{fmt.Sprint(v), fmt.Sprintln(v), fmt.Errorf("a: %v", v).Error()} {
			if strings.Contains(got, secret) {
				t.Errorf("%T: got %s", v, got)
			}
		}
		if got, err := json.Marshal(v); err != nil || bytes.Contains(got, []byte(secret)) {
			t.Errorf("json of %T: got %s, %v", v, got, err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		if strings.Contains(log.String(), secret) {
			t.Errorf("log of %T: got %s", v, &log)
		}
	}
	if got := fmt.Sprint(text); got != "[redacted]" {
		t.Errorf("got %q, want [redacted]", got)
	}
	if got := fmt.Sprint(option.Text("")); got != "" {
		t.Errorf("empty: got %q, want nothing", got)
	}
	if got := text.Reveal(); got != secret {
		t.Errorf("Reveal: got %q, want %q", got, secret)
	}
	var read option.Text
	if err := read.UnmarshalText([]byte(" any\ntext ")); err != nil || read.Reveal() != " any\ntext " {
		t.Errorf("UnmarshalText: got %q, %v", read.Reveal(), err)
	}
}

// write returns the path of a new file with this content.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPasswordRead(t *testing.T) {
	t.Setenv("UMBRA_TEST_SECRET", secret)
	t.Setenv("UMBRA_TEST_CR", secret+"\r")
	t.Setenv("UMBRA_TEST_BOM", "\ufeff"+secret+"\r\n")
	for _, tc := range []struct {
		name string
		give option.Password
	}{
		{"given", option.Password{Password: secret}},
		{"environment", option.Password{PasswordEnv: "UMBRA_TEST_SECRET"}},
		{"file", option.Password{PasswordFile: write(t, secret)}},
		{"file with a line end", option.Password{PasswordFile: write(t, secret+"\n")}},
		{"file of another system", option.Password{PasswordFile: write(t, secret+"\r\n")}},
		{"file with a byte order mark", option.Password{PasswordFile: write(t, "\ufeff"+secret+"\r\n")}},
		{"file with half a line end", option.Password{PasswordFile: write(t, secret+"\r")}},
		{"environment with a carriage return", option.Password{PasswordEnv: "UMBRA_TEST_CR"}},
		{"environment with a byte order mark", option.Password{PasswordEnv: "UMBRA_TEST_BOM"}},
		{"file with more lines", option.Password{PasswordFile: write(t, secret+"\n\nmore\n")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := tc.give.Read(slog.New(slog.DiscardHandler)); err != nil || got.Reveal() != secret {
				t.Errorf("got %q, %v, want %q", got.Reveal(), err, secret)
			}
		})
	}
}

func TestPasswordReadRefuses(t *testing.T) {
	t.Setenv("UMBRA_TEST_EMPTY", "")
	t.Setenv("UMBRA_TEST_ESC", "\x1b"+secret)
	missing := filepath.Join(t.TempDir(), "missing")
	for _, tc := range []struct {
		name string
		give option.Password
		key  string
		text string
	}{
		{"nothing", option.Password{}, "password", "missing; give password, password_file or password_env"},
		{"two", option.Password{Password: secret, PasswordEnv: "HOME"}, "password", "give only one of"},
		{"three", option.Password{Password: secret, PasswordEnv: "HOME", PasswordFile: "f"}, "password", "give only one of"},
		{"unset variable", option.Password{PasswordEnv: "UMBRA_TEST_UNSET"}, "password_env", "UMBRA_TEST_UNSET is not set"},
		{"empty variable", option.Password{PasswordEnv: "UMBRA_TEST_EMPTY"}, "password_env", "UMBRA_TEST_EMPTY is not set"},
		{"no file", option.Password{PasswordFile: missing}, "password_file", "read " + missing + ": no such file"},
		{"folder", option.Password{PasswordFile: t.TempDir()}, "password_file", "it is a folder"},
		{"UTF-16", option.Password{PasswordFile: write(t, "\xff\xfeh\x00\r\x00\n\x00")}, "password_file", ":1: the file is UTF-16; save it as UTF-8"},
		{"no text", option.Password{PasswordFile: write(t, secret+"\x00")}, "password_file", ":1: a NUL byte"},
		{"Latin-1", option.Password{PasswordFile: write(t, "h\xfcnter2")}, "password_file", ":1: a byte that is not UTF-8"},
		{"large", option.Password{PasswordFile: write(t, secret+"\n"+strings.Repeat("x", 64<<10))}, "password_file", "has more than 65536 bytes"},
		{"control character in a file", option.Password{PasswordFile: write(t, "\x1b"+secret)}, "password_file", "control character (U+001B)"},
		{"control character in a variable", option.Password{PasswordEnv: "UMBRA_TEST_ESC"}, "password_env", "control character (U+001B)"},
		{"line end in the table", option.Password{Password: secret + "\r"}, "password", "contains a line end"},
		{"byte order mark in the table", option.Password{Password: "\ufeff" + secret}, "password", "begins with a byte order mark"},
		{"empty file", option.Password{PasswordFile: write(t, "")}, "password_file", "has an empty first line"},
		{"empty first line", option.Password{PasswordFile: write(t, "\r\n"+secret)}, "password_file", "has an empty first line"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.give.Read(slog.New(slog.DiscardHandler))
			bad, ok := errors.AsType[*core.OptionError](err)
			if !ok || bad.Key != tc.key || !strings.Contains(bad.Err.Error(), tc.text) {
				t.Fatalf("got %v, want the key %s and %q", err, tc.key, tc.text)
			}
			if got != "" || strings.Contains(err.Error(), secret) {
				t.Errorf("got %q, %v, want no secret", got.Reveal(), err)
			}
			if tc.name == "no file" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want fs.ErrNotExist in it", err)
			}
		})
	}
}

// TestPasswordWarns reads secrets that are valid and look like a mistake.
func TestPasswordWarns(t *testing.T) {
	exposed := write(t, secret)
	if err := os.Chmod(exposed, 0o604); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		give option.Password
		want string
	}{
		{"plain", option.Password{Password: "a \tsecret"}, ""},
		{"file", option.Password{PasswordFile: write(t, secret)}, ""},
		{"file that all may read", option.Password{PasswordFile: exposed}, "may read a file with secrets"},
		{"space at the end", option.Password{PasswordFile: write(t, secret+" \n")}, "option=password_file"},
		{"no-break space before", option.Password{Password: "\u00a0" + secret}, "option=password"},
		{"zero-width space", option.Password{Password: secret + "\u200b"}, "ends with a space or an invisible character"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.give.PasswordFile == exposed && runtime.GOOS == "windows" {
				t.Skip("no modes")
			}
			var log strings.Builder
			if _, err := tc.give.Read(slog.New(slog.NewTextHandler(&log, nil))); err != nil {
				t.Fatal(err)
			}
			if (tc.want == "") != (log.Len() == 0) || !strings.Contains(log.String(), tc.want) || strings.Contains(log.String(), secret) {
				t.Errorf("got log %q, want %q", log.String(), tc.want)
			}
		})
	}
}
