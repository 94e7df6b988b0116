package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/umbra-proxy/umbra/core/view"
)

// What a client has sent is never markup.
func TestMarkup(t *testing.T) {
	s := office(t)
	s.journeys[39].Target = markup
	s.journeys[39].Error = markup
	s.bans[0].Failures = markup
	s.lines = append(s.lines, markup)
	srv := serve(t, s)
	tb := open(t, srv.URL, desktop())
	tb.live()
	for view, selector := range map[string]string{"connections": "td", "journeys": ".journey .to", "bans": "td", "log": ".log span"} {
		tb.view(view)
		tb.until(view, fmt.Sprintf(`[...document.querySelectorAll("#view-%s %s")].some(e => e.textContent.includes(%s))`, view, selector, quote(markup)))
	}
	if n := eval[int](tb, `document.querySelectorAll("img[src=x]").length`); n != 0 {
		t.Errorf("%d elements of a client", n)
	}
	if title := eval[string](tb, `document.title`); title == "owned" {
		t.Error("a script of a client ran")
	}
	static := open(t, srv.URL, look{width: 1280, height: 900, noScript: true})
	if html := eval[string](static, `document.documentElement.outerHTML`); strings.Contains(html, "<img src=x") {
		t.Error("the static page has markup of a client")
	}
}

// The page says that the stream broke, and comes back by itself.
func TestLost(t *testing.T) {
	srv := serve(t, office(t))
	tb := open(t, srv.URL, desktop())
	tb.live()
	srv.broken.Store(true)
	srv.CloseClientConnections()
	tb.until("it says so", `document.getElementById("live").textContent.startsWith("connection lost")`)
	srv.broken.Store(false)
	tb.live()
}

// Nothing is asked of the process while the tab is hidden.
func TestHidden(t *testing.T) {
	srv := serve(t, office(t))
	tb := open(t, srv.URL, desktop())
	tb.live()
	hide := func(hidden string) {
		tb.js(`Object.defineProperty(document, "hidden", {configurable: true, get: () => ` + hidden + `}); document.dispatchEvent(new Event("visibilitychange"))`)
	}
	hide("true")
	waitFor(t, "the stream ends", func() bool { return srv.streams.Load() == 0 })
	hide("false")
	tb.live()
	waitFor(t, "the stream begins", func() bool { return srv.streams.Load() == 1 })
}

// Without JavaScript the page is tables and lists.
func TestNoScript(t *testing.T) {
	tb := open(t, serve(t, office(t)).URL, look{width: 1280, height: 900, noScript: true})
	text := eval[string](tb, `document.body.innerText`)
	for _, want := range []string{
		"outbound.oslo Shadowsocks server oslo.example.net:8388, aes-256-gcm in TLS and WebSocket", "48210", "host-4.example.org:443",
		"connection refused", "outbound.split → outbound.exit → outbound.oslo", "100 of 240 live connections",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Colours follow the system, or the button.
func TestTheme(t *testing.T) {
	url := serve(t, office(t)).URL
	background := func(tb *tab) string { return eval[string](tb, `getComputedStyle(document.body).backgroundColor`) }
	light, dark := open(t, url, desktop()), open(t, url, look{width: 1440, height: 900, dark: true})
	light.live()
	dark.live()
	a, b := background(light), background(dark)
	if a == b {
		t.Errorf("light and dark are both %s", a)
	}
	light.click("#theme")
	light.click("#theme")
	if got := background(light); got != b {
		t.Errorf("by the button: got %s, want %s", got, b)
	}
	light.run(chromedp.Reload())
	light.live()
	if got := background(light); got != b {
		t.Errorf("after a reload: got %s, want %s", got, b)
	}
	light.js("localStorage.clear()")
}

// Who knows the token gets in by the form, and stays in.
func TestToken(t *testing.T) {
	srv := serveBy(t, office(t), view.Options{Token: func() string { return "a token" }, Readers: 64})
	tb := open(t, srv.URL, desktop())
	tb.enter("#token", "another")
	tb.click("form button")
	tb.until("it is not that one", `document.querySelector("[role=alert]").checkVisibility()`)
	tb.enter("#token", "a token")
	tb.click("form button")
	tb.live()
	tb.run(chromedp.Reload())
	tb.live()
}
