package page

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/core/view"
)

// The drawing has a box for each stage of the plan, and an edge for each step between them.
func TestDrawing(t *testing.T) {
	s := office(t)
	tb := open(t, serve(t, s).URL, desktop())
	tb.live()
	var boxes []string
	var walk func([]plan.Stage)
	walk = func(stages []plan.Stage) {
		for _, st := range stages {
			boxes = append(boxes, st.Component)
			for _, b := range st.Branches {
				walk(b.Stages)
			}
		}
	}
	for _, p := range s.plan.Pipelines {
		walk(p.Stages)
	}
	got := eval[[]string](tb, `[...document.querySelectorAll(".plan .box")].map(e => e.dataset.component)`)
	if !slices.Equal(got, boxes) {
		t.Errorf("got boxes %v\nwant %v", got, boxes)
	}
	edges := eval[[]string](tb, `[...document.querySelectorAll(".plan .edge")].map(e => e.dataset.from + " " + e.dataset.to)`)
	want := []string{
		"clients policy.ban", "policy.ban inbound.ss", "inbound.ss policy.acl", "policy.acl outbound.split",
		"outbound.split outbound.nowhere", "outbound.split outbound.exit", "outbound.exit outbound.paris", "outbound.exit outbound.oslo",
		"outbound.split outbound.direct", "outbound.paris targets", "outbound.oslo targets", "outbound.direct targets",
		"clients inbound.socks5", "inbound.socks5 outbound.exit", "outbound.exit outbound.paris", "outbound.exit outbound.oslo", "outbound.paris targets", "outbound.oslo targets",
	}
	if !slices.Equal(edges, want) {
		t.Errorf("got edges %q\nwant %q", edges, want)
	}
	sentences := tb.text(".sentence")
	if want := "Shadowsocks on port 8388, encrypted with 2022-blake3-aes-128-gcm → by rule: ads is refused; abroad to the first of paris or oslo that is well; the rest straight to the targets"; sentences[0] != want {
		t.Errorf("got %q, want %q", sentences[0], want)
	}
	foreign := eval[[]string](tb, `performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.startsWith(location.origin + "/"))`)
	if len(foreign) > 0 {
		t.Errorf("the page asks others: %v", foreign)
	}
	overlap := eval[int](tb, `[...document.querySelectorAll(".plan")].reduce((n, p) => {
		const r = [...p.querySelectorAll(".box .frame, .end rect")].map(e => e.getBoundingClientRect());
		r.forEach((a, i) => r.slice(i + 1).forEach(b => { if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) n++; }));
		return n; }, 0)`)
	if overlap != 0 {
		t.Errorf("%d pairs of boxes overlap", overlap)
	}
}

// A failing outbound turns its box, and turns it back when it works again; edges and figures move.
func TestStates(t *testing.T) {
	s := office(t)
	tb := open(t, serve(t, s).URL, desktop())
	tb.live()
	paris := `.plan [data-component="outbound.paris"]`
	tb.until("paris fails", fmt.Sprintf("document.querySelector(%s).dataset.state === 'bad'", quote(paris)))
	if text := tb.text(paris + " .status")[0]; !strings.Contains(text, "connection refu") {
		t.Errorf("got %q, want the reason", text)
	}
	label := eval[string](tb, fmt.Sprintf("document.querySelector(%s).getAttribute('aria-label')", quote(paris)))
	if !strings.Contains(label, "fails") {
		t.Errorf("a screen reader is told %q", label)
	}
	if text := tb.text(`[data-component="policy.ban"] .status`)[0]; text != "refused 1,874 banned" {
		t.Errorf("the gate says %q", text)
	}
	if text := tb.text(`[data-component="outbound.oslo"] .status`)[0]; text != "in use · 38 ms" {
		t.Errorf("the member that serves says %q", text)
	}
	tb.until("numbers move", `/[0-9] [kM]B\/s/.test(document.querySelector("[data-pipeline=office] .now").textContent)`)
	tb.until("the edge is busy", `document.querySelector('[data-from="outbound.exit"][data-to="outbound.oslo"]').classList.contains("busy")`)
	before := s.snapshot
	s.change(func() {
		s.snapshot = func() view.Snapshot {
			now := before()
			now.Components["outbound.paris"] = view.ComponentState{State: view.OK}
			now.Components["outbound.exit"].Members[0].State = "in"
			return now
		}
	})
	tb.until("paris works", fmt.Sprintf("document.querySelector(%s).dataset.state === 'ok'", quote(paris)))
}

// Boxes and edges open by the keyboard, and Escape closes.
func TestPanel(t *testing.T) {
	tb := open(t, serve(t, office(t)).URL, desktop())
	tb.live()
	tb.press(`.plan [data-component="outbound.paris"]`, kb.Enter)
	tb.until("the box is open", `document.querySelector(".panel[open] h2")?.textContent === "outbound.paris, kind ss"`)
	body := strings.Join(tb.text(".panelbody"), "")
	for _, want := range []string{"paris.example.net:8388", "connection refused", "timed out", "cipher.house"} {
		if !strings.Contains(body, want) {
			t.Errorf("the panel does not say %q", want)
		}
	}
	tb.click(".uses button")
	tb.until("the cipher is open", `document.querySelector(".panel[open] h2")?.textContent?.startsWith("cipher.house")`)
	if body := strings.Join(tb.text(".panelbody"), ""); !strings.Contains(body, "[redacted]") || strings.Contains(body, "demo-everyone") {
		t.Errorf("the cipher says %q", body)
	}
	tb.run(chromedp.KeyEvent(kb.Escape))
	tb.until("closed", `!document.querySelector(".panel[open]")`)
	tb.press(`.plan [data-to="outbound.oslo"]`, " ")
	tb.until("the edge is open", `document.querySelector(".panel[open] h2")?.textContent === "outbound.exit → outbound.oslo"`)
	tb.until("with journeys and connections", `document.querySelectorAll(".panel .journey").length === 20 && document.querySelectorAll(".panel tbody tr").length === 10`)
	tb.run(chromedp.KeyEvent(kb.Escape))
	tb.until("closed", `!document.querySelector(".panel[open]")`)
	tb.press(`.plan [data-component="outbound.oslo"]`, kb.Enter)
	tb.until("the times of its dials", `document.querySelector(".panel .histogram figcaption")?.textContent.startsWith("32 dials")`)
}

func TestConnections(t *testing.T) {
	s := office(t)
	tb := open(t, serve(t, s).URL+"/#connections", desktop())
	caption := func(want string) {
		t.Helper()
		tb.until(want, fmt.Sprintf(`document.querySelector("#view-connections caption")?.textContent === %s`, quote(want)))
	}
	caption("1 to 50 of 240 live connections")
	tb.click(".pages button:last-child")
	caption("51 to 100 of 240 live connections")
	tb.js(`const e = document.querySelector("#c-outbound"); e.value = "outbound.direct"; e.dispatchEvent(new Event("input", {bubbles: true}))`)
	caption("1 to 50 of 60 live connections")
	tb.run(chromedp.SendKeys(chromedp.CSS("#c-text"), "intranet-3."))
	caption("1 to 1 of 1 live connection")
	tb.click(`#view-connections td button.danger`)
	caption("no live connections")
	if got := s.asked(); !slices.Equal(got, []string{"cut 4"}) {
		t.Errorf("got %v", got)
	}
	tb.click("[data-sort=down]")
	tb.until("sorted", `document.querySelector("th[aria-sort=descending] button")?.dataset.sort === "down"`)
}

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

func TestJourneys(t *testing.T) {
	s := office(t)
	tb := open(t, serve(t, s).URL+"/#journeys", desktop())
	tb.until("all", `document.querySelectorAll("#view-journeys .journey").length === 40`)
	tb.click("#j-failed")
	tb.until("failed ones", `document.querySelectorAll("#view-journeys .journey").length === 8`)
	tb.click("#view-journeys .journey summary")
	tb.until("steps", `document.querySelectorAll("#view-journeys .waterfall li").length === 5`)
	if all := strings.Join(tb.text("#view-journeys .waterfall li"), "\n"); !strings.Contains(all, "no answer within 10s") || !strings.Contains(all, "rule.abroad") {
		t.Errorf("the steps are\n%s", all)
	}
	another := s.journeys[39]
	another.Number, another.Target = 41, "new.example.org:443"
	s.change(func() { s.journeys = append(s.journeys, another) })
	tb.until("a new one comes", `document.querySelector("#view-journeys .journey .to").textContent === "new.example.org:443"`)
	tb.until("the open one stays open", `document.querySelectorAll("#view-journeys .waterfall li").length === 5`)
}

// A ban appears, and its button lifts it.
func TestBans(t *testing.T) {
	s := office(t)
	tb := open(t, serve(t, s).URL+"/#bans", desktop())
	tb.until("two bans", `document.querySelectorAll("#view-bans tbody tr").length === 2`)
	ban := s.bans[0]
	ban.Client = "192.0.2.9/32"
	s.change(func() { s.bans = append(s.bans, ban) })
	tb.until("another one", `document.querySelectorAll("#view-bans tbody tr").length === 3`)
	tb.click(`#view-bans tr[data-key="192.0.2.9/32"] .lift`)
	tb.until("lifted", `document.querySelectorAll("#view-bans tbody tr").length === 2`)
	if got := s.asked(); !slices.Equal(got, []string{"lift policy.ban 192.0.2.9/32"}) {
		t.Errorf("got %v", got)
	}
}

// A reload shows what will change before anything changes; then the page shows the new file.
func TestReload(t *testing.T) {
	s := office(t)
	tb := open(t, serve(t, s).URL+"/#reloads", desktop())
	tb.live()
	tb.click(`#view-reloads .primary`)
	tb.until("the changes", `document.querySelector(".panel[open] .changes")?.textContent.includes("outbound.paris: server")`)
	if got := s.asked(); len(got) != 0 {
		t.Errorf("before it was confirmed: %v", got)
	}
	tb.click(`.panel .primary`)
	tb.until("closed", `!document.querySelector(".panel[open]")`)
	if got := s.asked(); !slices.Equal(got, []string{"apply d1 by page"}) {
		t.Errorf("got %v", got)
	}
	demo, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	next := planOf(t, string(demo))
	s.change(func() {
		s.plan = next
		s.status.Generation++
		old := s.snapshot
		s.snapshot = func() view.Snapshot {
			now := old()
			now.Pipelines[0].Name, now.Pipelines[1].Name = "local", "server"
			return now
		}
	})
	tb.view("overview")
	tb.until("the new file is drawn", `[...document.querySelectorAll(".plan .box")].map(e => e.dataset.component).join() === "inbound.socks5,outbound.server,inbound.ss,outbound.direct"`)
	want := "SOCKS5 on 127.0.0.1:1080 → Shadowsocks server 127.0.0.1:8388, encrypted with aes-256-gcm"
	if got := tb.text(".sentence"); got[0] != want {
		t.Errorf("got %q, want %q", got[0], want)
	}
}

// A process that nobody may change by the page offers no button.
func TestReadOnly(t *testing.T) {
	s := office(t)
	tb := open(t, serveBy(t, s, view.Options{Users: true, Readers: 64}).URL, desktop())
	tb.live()
	for _, v := range []string{"connections", "bans", "reloads"} {
		tb.view(v)
		tb.until(v, fmt.Sprintf(`document.querySelector("#view-%s tbody tr")`, v))
	}
	if n := eval[int](tb, `document.querySelectorAll("button.danger, button.lift, #view-reloads .primary").length`); n != 0 {
		t.Errorf("%d buttons that change something", n)
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

// On a phone nothing is wider than the screen.
func TestPhone(t *testing.T) {
	tb := open(t, serve(t, office(t)).URL, phone())
	tb.live()
	for _, v := range []string{"overview", "connections", "journeys", "users", "bans", "reloads", "log"} {
		tb.view(v)
		tb.until(v, fmt.Sprintf(`!document.getElementById("view-%s").hidden && document.getElementById("view-%s").innerText.length > 60`, v, v))
		if wide := eval[int](tb, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s is %d pixels wide", v, wide)
		}
	}
	order := eval[bool](tb, `(() => { document.getElementById("tab-overview").click(); const y = [...document.querySelectorAll("[data-pipeline=office] .frame")].map(e => e.getBoundingClientRect().top); return y.every((v, i) => i === 0 || v > y[i - 1]); })()`)
	if !order {
		t.Error("boxes do not stand one under the other")
	}
}

// Who knows the token gets in by the form, and stays in.
func TestToken(t *testing.T) {
	srv := serveBy(t, office(t), view.Options{Token: func() string { return "a token" }, Readers: 64})
	tb := open(t, srv.URL, desktop())
	tb.run(chromedp.SendKeys(chromedp.CSS("#token"), "another"))
	tb.click("form button")
	tb.until("it is not that one", `document.querySelector("[role=alert]")?.textContent === "That is not the token."`)
	tb.run(chromedp.SendKeys(chromedp.CSS("#token"), "a token"))
	tb.click("form button")
	tb.live()
	tb.run(chromedp.Reload())
	tb.live()
}

// The member of a group that a person chooses is chosen.
func TestChoose(t *testing.T) {
	s := office(t)
	s.plan = planOf(t, strings.Replace(strings.Replace(branching, `kind = "failover"`, `kind = "select"`, 1), `probe = { target = "www.example.org:443" }`, "", 1))
	tb := open(t, serve(t, s).URL, desktop())
	tb.live()
	tb.press(`.plan [data-component="outbound.exit"]`, kb.Enter)
	tb.until("the members", `document.querySelectorAll(".panel[open] tbody button").length === 1`)
	tb.click(".panel tbody button")
	waitFor(t, "it is chosen", func() bool { return slices.Equal(s.asked(), []string{"select exit paris"}) })
	tb.until("the page says so", `document.getElementById("notice").textContent === "exit takes paris"`)
}

// A chain that does not fit from left to right stands from top to bottom.
func TestDeep(t *testing.T) {
	s := office(t)
	s.plan = planOf(t, branching+`
[policy.limit]
[outbound.deep]
kind = "chain"
chain = ["outbound.paris", "outbound.oslo", "outbound.third", "outbound.split"]
[outbound.third]
like = "paris"
server = "third.example.net:8388"
[pipeline.deep]
chain = ["policy.limit", "policy.ban", "inbound.more", "policy.acl", "outbound.deep"]
[inbound.more]
kind = "socks5"
listen = "127.0.0.1:1081"
`)
	for _, width := range []int64{1024, 700, 360} {
		tb := open(t, serve(t, s).URL, look{width: width, height: 900})
		tb.live()
		if wide := eval[int64](tb, `document.documentElement.scrollWidth`); wide > width {
			t.Errorf("width %d: the page is %d pixels wide", width, wide)
		}
		if cut := eval[int](tb, `[...document.querySelectorAll(".drawing")].filter(d => d.scrollWidth > d.clientWidth + 1).length`); cut > 0 {
			t.Errorf("width %d: %d drawings are cut off", width, cut)
		}
		if n := eval[int](tb, `document.querySelectorAll("[data-pipeline=deep] .box").length`); n != 14 {
			t.Errorf("width %d: %d boxes", width, n)
		}
	}
}
