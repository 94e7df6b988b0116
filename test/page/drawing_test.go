package page

import (
	"fmt"
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
