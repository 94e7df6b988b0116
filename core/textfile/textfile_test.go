package textfile_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/umbra-proxy/umbra/core/textfile"
)

// big is longer than the buffer of a Reader, with characters of two and three bytes.
var big = strings.Repeat("ä€\n", 20_000)

// TestReader reads what editors write, in one piece and byte by byte.
func TestReader(t *testing.T) {
	for _, tc := range []struct {
		name, text, want, err string
	}{
		{"empty", "", "", ""},
		{"one byte", "a", "a", ""},
		{"plain", "a\nb\n", "a\nb\n", ""},
		{"byte order mark", "\ufeffa\n", "a\n", ""},
		{"byte order mark alone", "\ufeff", "", ""},
		{"byte order mark within", "a\ufeffb", "a\ufeffb", ""},
		{"CRLF", "a\r\n\r\nb\r\n", "a\n\nb\n", ""},
		{"CRLF converted twice", "a\r\r\nb", "a\nb", ""},
		{"last line end cut", "a\r\nb\r", "a\nb", ""},
		{"long", big, big, ""},
		{"long with CRLF", strings.ReplaceAll(big, "\n", "\r\n"), big, ""},
		{"UTF-16 LE", "\xff\xfea\x00b\x00", "", "f:1: the file is UTF-16; save it as UTF-8"},
		{"UTF-16 BE", "\xfe\xff\x00a\x00b", "", "f:1: the file is UTF-16"},
		{"UTF-16 without a mark", "a\x00b\x00\n\x00", "", "f:1: the file is UTF-16"},
		{"NUL", "abc\n\x00", "", "f:2: a NUL byte"},
		{"Latin-1", "a\nb\nf\xfcr\n", "", "f:3: a byte that is not UTF-8"},
		{"cut character", "a\n\xe2\x82", "", "f:2: a byte that is not UTF-8"},
		{"NUL after much", big + "\x00", "", "f:20001: a NUL byte"},
		{"Latin-1 after much", strings.ReplaceAll(big, "\n", "\r\n") + "\xfc", "", "f:20001: a byte that is not UTF-8"},
		{"carriage return", "a\nb\rc\n", "", "f:2: a carriage return within the line"},
	} {
		for way, from := range map[string]io.Reader{
			"whole": strings.NewReader(tc.text), "bytes": iotest.OneByteReader(strings.NewReader(tc.text)),
			"end with data": iotest.DataErrReader(strings.NewReader(tc.text)),
		} {
			t.Run(tc.name+"/"+way, func(t *testing.T) {
				got, err := io.ReadAll(textfile.NewReader("f", from))
				if tc.err != "" {
					if err == nil || !strings.HasPrefix(err.Error(), tc.err) || !errors.Is(err, textfile.ErrNotText) {
						t.Errorf("got error %v, want %q", err, tc.err)
					}
				} else if err != nil || string(got) != tc.want {
					t.Errorf("got %.40q, %v, want %.40q", got, err, tc.want)
				}
			})
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\ufeffa\r\nb\r"))
	f.Add([]byte("a\x00\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := io.ReadAll(textfile.NewReader("f", bytes.NewReader(data)))
		bytewise, again := io.ReadAll(textfile.NewReader("f", iotest.OneByteReader(bytes.NewReader(data))))
		if (err == nil) != (again == nil) || err == nil && !bytes.Equal(got, bytewise) {
			t.Fatalf("got %q, %v at once and %q, %v byte by byte", got, err, bytewise, again)
		}
		if err == nil && (!utf8.Valid(got) || bytes.ContainsAny(got, "\x00\r")) {
			t.Fatalf("got %q, which is not text", got)
		}
	})
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("\ufeffab\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := textfile.Read(path, 7); err != nil || string(got) != "ab\n" {
		t.Errorf("got %q, %v", got, err)
	}
	for name, tc := range map[string]struct {
		path, want string
	}{
		"too long": {path, path + " has more than 6 bytes"},
		"missing":  {path + "2", "read " + path + "2: "},
		"folder":   {dir, "read " + dir + ": it is a folder"},
	} {
		if _, err := textfile.Read(tc.path, 6); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestWarnIfExposed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	path := filepath.Join(t.TempDir(), "key")
	for _, tc := range []struct {
		mode  os.FileMode
		warns bool
	}{{0o600, false}, {0o640, false}, {0o644, true}, {0o604, true}} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tc.mode); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		textfile.WarnIfExposed(slog.New(slog.NewTextHandler(&log, nil)), path)
		if warned := strings.Contains(log.String(), "file="+path); warned != tc.warns {
			t.Errorf("mode %o: got log %q, want a warning: %t", tc.mode, log.String(), tc.warns)
		}
	}
}
