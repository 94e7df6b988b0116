package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// pageImages is the number of images on the page; the browser fetches them concurrently.
const pageImages = 24

// TestBrowser loads a page with images and a script in a headless Chromium, through the SOCKS5
// inbound and a tunnel.
func TestBrowser(t *testing.T) {
	chromium := peer.Need(t, "chromium")
	var served atomic.Int32
	site := httptest.NewServer(page(t, &served))
	defer site.Close()
	const method = "chacha20-ietf-poly1305"
	proxy := umbraLocal(t, method, umbraServer(t, method))

	cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(), "--proxy-server=socks5://"+peer.Addr(proxy),
		"--proxy-bypass-list=<-loopback>", "--virtual-time-budget=60000", "--dump-dom", site.URL+"/")
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.String())
	}
	want := fmt.Sprintf("loaded %d", pageImages)
	if !regexp.MustCompile(`<p id="result">` + want + `</p>`).Match(stdout.Bytes()) {
		t.Errorf("the page does not contain %q:\n%s\n%s", want, stdout.String(), stderr.String())
	}
	if got := served.Load(); got < pageImages {
		t.Errorf("%d images were served, want %d", got, pageImages)
	}
}

// page serves one page, whose script counts the loaded images.
func page(t testing.TB, served *atomic.Int32) http.Handler {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 200, 200))
	for i := range 200 * 200 {
		img.Set(i%200, i/200, color.RGBA{byte(i), byte(i * 7), byte(i >> 8), 255})
	}
	var data bytes.Buffer
	if err := png.Encode(&data, img); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /image/", func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(data.Bytes())
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<!doctype html><title>umbra</title><p id="result">loading</p><script>
let n = 0;
for (let i = 0; i < %d; i++) {
  const im = new Image();
  im.onload = () => { n++; document.getElementById("result").textContent = "loaded " + n; };
  im.src = "/image/" + i;
  document.body.appendChild(im);
}
</script>`, pageImages)
	})
	return mux
}
