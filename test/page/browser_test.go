// Package page tests the page of a running umbra in a real browser. It is a module of its own, so
// that the driver of the browser is no dependency of umbra.
package page

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/umbra-proxy/umbra/test/peer"
)

// patience is the timeout of every wait.
const patience = 40 * time.Second

// browser is one Chromium that all tests have tabs of.
type browser struct {
	once sync.Once
	ctx  context.Context
}

var chromium browser

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.ctx != nil {
		_ = chromedp.Cancel(chromium.ctx)
	}
	os.Exit(code)
}

// start starts the browser, for the first test that needs it.
func (b *browser) start(t testing.TB) context.Context {
	t.Helper()
	path := peer.Need(t, "chromium")
	b.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("hide-scrollbars", true), chromedp.WSURLReadTimeout(patience))
		allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, _ := chromedp.NewContext(allocator)
		if err := chromedp.Do(ctx); err != nil {
			t.Fatal(err)
		}
		b.ctx = ctx
	})
	if b.ctx == nil {
		t.Fatal("the browser did not start")
	}
	return b.ctx
}

// tab is a tab of the browser.
type tab struct {
	ctx context.Context
	t   testing.TB

	mu    sync.Mutex
	wrong []string // what the console says is wrong
}

// look describes who looks at the page.
type look struct {
	width, height int64
	dark          bool
	noScript      bool
	still         bool // nothing moves
}

// desktop and phone are what people have.
func desktop() look { return look{width: 1440, height: 900} }
func phone() look   { return look{width: 390, height: 844} }

// open opens a tab. What the page does against its policy, and each error of a script, fails the test.
func open(t testing.TB, url string, l look) *tab {
	t.Helper()
	tb := &tab{t: t}
	ctx, cancel := chromedp.NewContext(chromium.start(t), chromedp.WithListener(tb.listen))
	ctx, stop := context.WithTimeout(ctx, 3*patience)
	tb.ctx = ctx
	t.Cleanup(func() {
		stop()
		cancel()
		tb.mu.Lock()
		defer tb.mu.Unlock()
		if len(tb.wrong) > 0 {
			t.Errorf("the browser complains:\n%s", strings.Join(tb.wrong, "\n"))
		}
	})
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	if l.still {
		features = append(features, &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
	}
	call(tb, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
	call(tb, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 700})
	call(tb, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript})
	tb.run(chromedp.Navigate(url))
	return tb
}

// listen keeps what the browser says is wrong. That a request was refused is no error of the page.
func (tb *tab) listen(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
		tb.wrong = append(tb.wrong, text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			tb.wrong = append(tb.wrong, e.Entry.Text)
		}
	}
}

// call runs a command of the protocol.
func call[P, R any](tb *tab, command cdp.Command[P, R], parameters P) R {
	tb.t.Helper()
	r, err := chromedp.Call(tb.ctx, command, parameters)
	if err != nil {
		tb.t.Fatal(err)
	}
	return r
}

func (tb *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	if err := chromedp.Do(tb.ctx, actions...); err != nil {
		tb.t.Fatal(err)
	}
}

// eval returns what an expression of JavaScript is.
func eval[T any](tb *tab, expression string) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// js runs JavaScript.
func (tb *tab) js(code string) {
	tb.t.Helper()
	eval[bool](tb, "(() => {"+code+"; return true})()")
}

func (tb *tab) click(selector string) { tb.t.Helper(); tb.find(chromedp.Click(chromedp.CSS(selector))) }

func (tb *tab) enter(selector, text string) {
	tb.t.Helper()
	tb.find(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// find runs an action on an element. If it is replaced at the same moment, as rows of live lists are, its
// successor is looked for.
func (tb *tab) find(action chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	err := chromedp.Do(tb.ctx, action)
	for range 20 {
		if err == nil || !strings.Contains(err.Error(), "-32000") {
			break
		}
		err = chromedp.Do(tb.ctx, action)
	}
	if err != nil {
		tb.t.Fatal(err)
	}
}

// press focuses an element and presses a key.
func (tb *tab) press(selector, key string) {
	tb.t.Helper()
	tb.js(fmt.Sprintf("document.querySelector(%s).focus()", quote(selector)))
	tb.run(chromedp.KeyEvent(key))
}

// until waits until an expression is true. One that fails, for there is no such element yet, is not.
func (tb *tab) until(what, expression string) {
	tb.t.Helper()
	for end := time.Now().Add(patience); !eval[bool](tb, "(() => { try { return Boolean("+expression+") } catch { return false } })()"); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			tb.t.Fatalf("%s: not within %s; the page says\n%s", what, patience, eval[string](tb, "document.body.innerText"))
		}
	}
}

// live waits until the page has drawn a snapshot.
func (tb *tab) live() {
	tb.t.Helper()
	tb.until("the page is live", `document.getElementById("live")?.dataset.state === "live" && document.querySelector(".plan .box .status")?.textContent`)
}

// view opens a view by its button.
func (tb *tab) view(id string) { tb.t.Helper(); tb.click("#tab-" + id) }

// text returns the text of all elements that match.
func (tb *tab) text(selector string) []string {
	tb.t.Helper()
	return eval[[]string](tb, fmt.Sprintf("[...document.querySelectorAll(%s)].map(e => e.textContent)", quote(selector)))
}

func quote(s string) string { b, _ := json.Marshal(s); return string(b) }
