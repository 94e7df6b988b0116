package page

import (
	_ "embed"
	"fmt"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/view"
)

//go:embed testdata/axe.min.js
var axe string

// violation is what axe-core finds wrong.
type violation struct {
	ID    string   `json:"id"`
	Help  string   `json:"help"`
	Nodes []string `json:"nodes"`
}

// TestAccessibility has axe-core look at every view, in light and dark, on a desktop and a phone.
func TestAccessibility(t *testing.T) {
	s := office(t)
	s.connections, s.journeys = s.connections[:6], s.journeys[:6] // each row is looked at
	url := serve(t, s).URL
	closed := serveBy(t, s, view.Options{Token: func() string { return "a token" }, Readers: 64}).URL
	for _, l := range []look{desktop(), phone()} {
		for _, dark := range []bool{false, true} {
			l.dark, l.still = dark, true
			t.Run(fmt.Sprintf("width %d dark %t", l.width, dark), func(t *testing.T) {
				tb := open(t, url, l)
				tb.live()
				tb.js(axe)
				for _, v := range []string{"overview", "connections", "journeys", "users", "bans", "reloads", "log"} {
					tb.view(v)
					tb.until(v, fmt.Sprintf(`document.getElementById("view-%s").innerText.length > 60`, v))
					tb.axe(v)
				}
				tb.js(`document.querySelector("#tab-journeys").click(); document.querySelector(".journey summary").click()`)
				tb.axe("a journey")
				tb.js(`document.querySelector("#tab-overview").click(); document.querySelector('.plan [data-component="outbound.exit"]').dispatchEvent(new Event("click"))`)
				tb.until("the panel", `document.querySelector(".panel[open] table")`)
				tb.axe("a panel")
				login := open(t, closed, l)
				login.js(axe)
				login.axe("the login")
			})
		}
	}
}

// axe fails the test for what axe-core finds.
func (tb *tab) axe(what string) {
	tb.t.Helper()
	found := eval[[]violation](tb, `axe.run({resultTypes: ["violations"]}).then(r => r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 4).map(n => n.html.slice(0, 160) + " :: " + n.failureSummary)})))`)
	for _, v := range found {
		tb.t.Errorf("%s: %s: %s\n%q", what, v.ID, v.Help, v.Nodes)
	}
}

// waitFor waits until something holds.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
