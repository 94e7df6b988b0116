package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// sizes are file sizes in bytes: empty, one byte, one below and at the largest chunk, and many bursts.
func sizes() []int { return []int{0, 1, 16383, 16384, 100_000_000} }

// web serves files of any size that are equal at every request. It answers an upload with the hash of the
// upload.
type web struct {
	*httptest.Server
}

func newWeb(t testing.TB) web {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /file/{size}", func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.PathValue("size"))
		if err != nil {
			http.Error(w, "bad size", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.Copy(w, content(size)) // fails if the client has gone
	})
	mux.HandleFunc("PUT /file", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if _, err := io.Copy(h, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, hex.EncodeToString(h.Sum(nil)))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return web{s}
}

// content returns size random bytes that depend only on size.
func content(size int) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1: byte(size), 2: byte(size >> 8)}), int64(size))
}

func hashOf(t testing.TB, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// curl runs curl through a SOCKS5 proxy on a port, which resolves names, and returns its output.
func curl(t testing.TB, proxy int, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"--silent", "--show-error", "--fail", "--max-time", "120", "--noproxy", "", "--socks5-hostname", peer.Addr(proxy)}, args...)
	out, err := exec.CommandContext(t.Context(), peer.Need(t, "curl"), args...).CombinedOutput()
	return string(out), err
}

// moveFiles moves files of every size down and up through a proxy and compares
// their hashes.
func moveFiles(t *testing.T, proxy int, sizes ...int) {
	t.Helper()
	site := newWeb(t)
	dir := t.TempDir()
	for _, size := range sizes {
		want := hashOf(t, content(size))
		path := filepath.Join(dir, "got")
		if out, err := curl(t, proxy, "--output", path, fmt.Sprintf("%s/file/%d", site.URL, size)); err != nil {
			t.Fatalf("download of %d bytes: %v: %s", size, err, out)
		}
		if got := fileHash(t, path, size); got != want {
			t.Errorf("download of %d bytes: got the hash %s, want %s", size, got, want)
		}
		source := filepath.Join(dir, "source")
		saveContent(t, source, size)
		got, err := curl(t, proxy, "--upload-file", source, site.URL+"/file")
		if err != nil {
			t.Fatalf("upload of %d bytes: %v: %s", size, err, got)
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("upload of %d bytes: got the hash %s, want %s", size, got, want)
		}
	}
}

// fileHash returns the hash of a file; curl creates no file for an empty answer.
func fileHash(t testing.TB, path string, size int) string {
	t.Helper()
	if _, err := os.Stat(path); os.IsNotExist(err) && size == 0 {
		return hashOf(t, strings.NewReader(""))
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer os.Remove(path)
	return hashOf(t, f)
}

func saveContent(t testing.TB, path string, size int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, content(size)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
