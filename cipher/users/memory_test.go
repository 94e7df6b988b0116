package users_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/aead2022"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// keyOf returns a key of 16 bytes in base64.
func keyOf(n int) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64([]byte("12345678"), uint64(n)))
}

// saveUsers writes n users to a file.
func saveUsers(t *testing.T, path string, n int) {
	t.Helper()
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, ",\n\"user%06d\": %q", i, keyOf(i))
	}
	if err := os.WriteFile(path, []byte("{"+b.String()[1:]+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// heapInUse returns the bytes of all objects that are in use.
func heapInUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found to be finalized
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestMemory builds the cipher of a server twenty times, as reloads do, and lets none of them
// go: not even those that have the users of a changed file hold a second copy of them.
func TestMemory(t *testing.T) {
	const method2022, methodSIP004 = "2022-blake3-aes-128-gcm", "aes-128-gcm"
	reg := new(core.Registry)
	for _, s := range aead.Specs() {
		aead.Register(reg, s)
	}
	for _, s := range aead2022.Specs() {
		aead2022.Register(reg, s)
	}
	for _, tc := range []struct {
		name    string
		method  string
		changes bool // a user is added before each reload
		cut     bool
		most    int // KiB for each reload
	}{
		{"2022 unchanged", method2022, false, false, 16},
		{"2022 changed", method2022, true, false, 1280},
		{"2022 unchanged, cut", method2022, false, true, 16},
		{"SIP004 unchanged", methodSIP004, false, false, 128},
		{"SIP004 changed", methodSIP004, true, false, 1280},
		{"SIP004 unchanged, cut", methodSIP004, false, true, 128},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const n, reloads = 10_000, 20
			kind, ok := reg.Cipher.Lookup(tc.method)
			if !ok {
				t.Fatalf("no kind %s", tc.method)
			}
			path, process := filepath.Join(t.TempDir(), "users"), new(core.Process)
			build := func() core.Cipher {
				env := core.Env{Section: core.SectionCipher, Name: "house", Process: process, Log: slog.New(slog.DiscardHandler)}
				of := users.Options{UsersFile: path, CutRemoved: tc.cut}
				var options any = &aead.Options{Options: of}
				if tc.method == method2022 {
					options = &aead2022.Options16{
						Options: of, Password: option.Password{Password: option.Text(keyOf(1 << 30))},
						SessionOptions: aead2022.SessionOptions{RememberedSessions: 256},
					}
				}
				c, err := kind.New(env, options)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			saveUsers(t, path, n)
			held := []core.Cipher{build()}
			first := heapInUse()
			for i := range reloads {
				if tc.changes {
					saveUsers(t, path, n+1+i)
				}
				held = append(held, build())
			}
			each := (heapInUse() - first) / reloads >> 10
			t.Logf("each reload took %d KiB", each)
			if each > tc.most {
				t.Errorf("each reload took %d KiB, want at most %d", each, tc.most)
			}
			runtime.KeepAlive(held)
		})
	}
}
