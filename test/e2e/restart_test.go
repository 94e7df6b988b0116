package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/impair"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestRestartKeepsSalts replays recorded requests after the server was killed and started again: with a
// replay_file the server refuses them, and without one it accepts them.
func TestRestartKeepsSalts(t *testing.T) {
	for _, method := range []string{"aes-256-gcm", "2022-blake3-aes-256-gcm"} {
		for _, kept := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, kept %t", method, kept), func(t *testing.T) {
				t.Parallel()
				restartKeepsSalts(t, method, kept)
			})
		}
	}
}

func restartKeepsSalts(t *testing.T, method string, kept bool) {
	secret := peer.Password
	if strings.HasPrefix(method, "2022-") {
		secret = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	}
	keyed := func(file string) string { return strings.ReplaceAll(file, peer.Password, secret) }
	target := newGreeter(t, "target")
	server := peer.FreePort(t)
	file := keyed(serverFile(server, method))
	journal := filepath.Join(t.TempDir(), "replay")
	if kept {
		file = with(file, "[cipher.house]", fmt.Sprintf("replay_file = %q", journal))
	}
	path := write(t, "umbra.toml", file)
	first := runAt(t, path, server)

	tap := impair.New(t, peer.Addr(server), impair.Options{Up: impair.Direction{Record: true}})
	to, err := core.ParseAddr(tap.Addr())
	if err != nil {
		t.Fatal(err)
	}
	proxy := peer.FreePort(t)
	run(t, keyed(localFile(proxy, method, int(to.Port()))), proxy)
	c := dialSOCKS(t, proxy, target.addr)
	expect(t, c, "target\n")
	flight, _ := tap.Recorded(0)
	if kept { // the record is on disk a moment later
		await(t, "the replay file", func() bool { return fileSize(t, journal) >= 64 })
	}
	first.Signal(t, syscall.SIGKILL)
	first.Wait(t)
	before := target.accepted.Load()
	runAt(t, path, server)

	again := dial(t, server)
	if _, err := again.Write(flight); err != nil {
		t.Fatal(err)
	}
	if err := again.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(again)
	answered := len(got) > 0
	if err != nil || answered == kept || (target.accepted.Load() > before) == kept {
		t.Errorf("got %d bytes, %v and %d connections to the target; the recording should be known: %t", len(got), err, target.accepted.Load()-before, kept)
	}
}

// fileSize returns the size of a file in bytes, or 0 if it is missing.
func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
