package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExample builds the program of plugins/example in both ways and sends traffic through each. The tests of
// the example are run separately, as its README describes.
func TestExample(t *testing.T) {
	example := filepath.Join(root(t), "plugins", "example")
	t.Run("its tests", func(t *testing.T) {
		if out := command(t, example, "go", "test", "./..."); !strings.Contains(out, "ok  \texample.net/secretbox") {
			t.Errorf("got\n%s", out)
		}
	})
	for _, tc := range []struct {
		name  string
		build func(t *testing.T, output string)
	}{
		{"umbra build", func(t *testing.T, output string) {
			out := command(t, root(t), self(t), "build", "--with", "example.net/secretbox=plugins/example", "--source", ".", "-o", output)
			if !strings.Contains(out, "new: cipher.xsalsa20-poly1305\n") {
				t.Errorf("got\n%s\nwant the new kind in it", out)
			}
		}},
		{"its main", func(t *testing.T, output string) {
			command(t, example, "go", "build", "-o", output, "./cmd/umbra-secretbox")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			output := filepath.Join(t.TempDir(), "umbra")
			tc.build(t, output)
			text, err := os.ReadFile(filepath.Join(example, "example.toml"))
			if err != nil {
				t.Fatal(err)
			}
			proxy, server, replace := ports(t)
			file := filepath.Join(t.TempDir(), "example.toml")
			if err := os.WriteFile(file, []byte(replace.Replace(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			command(t, "", output, "check", file)
			carries(t, output, file, proxy, server)
		})
	}
}
