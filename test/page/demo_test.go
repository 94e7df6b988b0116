package page

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestDemo runs the demo with the page, downloads through it, and takes its picture. For the documentation the
// demo has the ports that it has there.
func TestDemo(t *testing.T) {
	peer.Need(t, "curl")
	demo, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(demo), "\n[admin]\n", "\n[admin]\nweb = \"web:port\"\n", 1)
	places := map[string]string{"127.0.0.1:1080": "socks:port", "127.0.0.1:8388": "server:port"}
	for from, to := range places {
		text = regexp.MustCompile(`(?m)^(listen|server)( *= )"`+regexp.QuoteMeta(from)+`"`).ReplaceAllString(text, `$1$2"`+to+`"`)
	}
	if os.Getenv("UMBRA_SCREENSHOTS") != "" {
		for from, to := range places {
			text = strings.ReplaceAll(text, to, from)
		}
	}
	u := run(t, text, "server")
	if os.Getenv("UMBRA_SCREENSHOTS") != "" {
		u.socks = "127.0.0.1:1080"
	}
	site := stream(t)
	tb := open(t, u.url, look{width: 1280, height: 900, still: true})
	tb.live()
	for range 3 {
		peer.Start(t, nil, "curl", "-sN", "-o", os.DevNull, "--proxy", "socks5h://"+u.socks, site)
	}
	tb.until("three downloads", `["local", "server"].every(p => /3 connections · ↓ [0-9.]+ [kM]B\/s/.test(document.querySelector("[data-pipeline=" + p + "] .now").textContent))`)
	tb.js(`globalThis.began = Date.now()`)
	tb.until("lines", `Date.now() - globalThis.began > 12000`)
	tb.js(`document.querySelector(".file").textContent = "config.example.toml"`)
	tb.shoot("demo")
}
