package page

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/view"
)

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
	tb.enter("#c-text", "intranet-3.")
	caption("1 to 1 of 1 live connection")
	tb.click(`#view-connections td button.danger`)
	caption("no live connections")
	if got := s.asked(); !slices.Equal(got, []string{"cut 4"}) {
		t.Errorf("got %v", got)
	}
	tb.click("[data-sort=down]")
	tb.until("sorted", `document.querySelector("th[aria-sort=descending] button")?.dataset.sort === "down"`)
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
