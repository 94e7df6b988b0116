package plugins_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/plugins"
)

const exampleFile = "../config.example.toml"

func standard() *core.Registry {
	reg := &core.Registry{}
	plugins.Standard(reg)
	return reg
}

// TestExampleIsComplete fails for a kind or a key that the example lacks. Kinds
// that share their options, as methods of one family do, share their keys.
func TestExampleIsComplete(t *testing.T) {
	e := readExample(t)
	keys := map[reflect.Type]map[string]bool{} // that the example gives
	kinds := map[string]bool{}
	add := func(options reflect.Type, key string) {
		if keys[options] == nil {
			keys[options] = map[string]bool{}
		}
		keys[options][key] = true
	}
	tables := map[string]reflect.Type{
		"pipeline": reflect.TypeFor[config.PipelineTable](), "log": reflect.TypeFor[config.Log](), "process": reflect.TypeFor[config.Process](),
	}
	reg := standard()
	for _, l := range e.lines {
		section, name, _ := strings.Cut(l.table, ".")
		if options, ok := tables[section]; ok {
			add(options, l.key)
			continue
		}
		catalog := reg.Section(core.Section(section))
		if catalog == nil {
			continue
		}
		for _, kind := range e.kindsOf(l.table, name) {
			if info, ok := catalog.Describe(kind); ok {
				kinds[section+"."+info.Name] = true
				add(info.Options, l.key)
			}
		}
	}
	for name, options := range tables {
		for _, f := range config.Fields(options) {
			if !keys[options][f.Key] {
				t.Errorf("[%s] has no %s", name, f.Key)
			}
		}
	}
	for _, s := range core.Sections() {
		for _, name := range reg.Section(s).Names() {
			info, _ := reg.Section(s).Describe(name)
			if !kinds[string(s)+"."+name] {
				t.Errorf("no %s of kind %s", s, name)
				continue
			}
			for _, f := range config.Fields(info.Options) {
				if !keys[info.Options][f.Key] {
					t.Errorf("%s of kind %s has no %s", s, name, f.Key)
				}
			}
		}
	}
}

// TestExampleLines takes each commented line in, alone, and then all of a table
// that is commented out. Tables that are commented out are taken in each time:
// lines may name them.
func TestExampleLines(t *testing.T) {
	e := readExample(t)
	tried := 0
	for i, l := range e.lines {
		if !l.commented || l.header {
			continue
		}
		tried++
		text := e.with(func(other exampleLine) bool {
			instead := other.table == l.table && other.key == l.key // of it, only l is taken
			return other == l || e.inert(other) && e.first(other) && !instead
		})
		if _, err := config.Parse("config.example.toml", []byte(text), standard()); err != nil {
			t.Errorf("line %d, %s:\n%v", i+1, l.text, err)
		}
	}
	if tried < 20 {
		t.Errorf("tried %d lines, want at least 20: are they of the form \"# key = value\"?", tried)
	}
}

// TestExampleChecks builds the example as it is. Nothing in it is unused.
func TestExampleChecks(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	f, err := config.Parse("config.example.toml", text, standard())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range f.Warnings {
		t.Errorf("got the warning %s", w.Error())
	}
	if err := engine.Check(standard(), f, slog.New(failOnLog(t))); err != nil {
		t.Error(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if n := len(line); n > 110 {
			t.Errorf("line %d has %d characters, want at most 110", i+1, n)
		}
	}
}

// failOnLog returns a handler that takes each warning for a failure.
func failOnLog(t *testing.T) slog.Handler {
	return slog.NewTextHandler(writerFunc(func(p []byte) { t.Errorf("got the log line %s", p) }), &slog.HandlerOptions{Level: slog.LevelWarn})
}

type writerFunc func(p []byte)

func (w writerFunc) Write(p []byte) (int, error) { w(p); return len(p), nil }

// TestExampleServes goes through the demo, from SOCKS5 to a web server on this
// machine, on other ports.
func TestExampleServes(t *testing.T) {
	defer goleak.VerifyNone(t)
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	ports := strings.NewReplacer("127.0.0.1:1080", freeAddress(t), "127.0.0.1:8388", freeAddress(t))
	f, err := config.Parse("config.example.toml", []byte(ports.Replace(string(text))), standard())
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(standard(), slog.New(failOnLog(t)))
	if err := e.Start(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer web.Close()
	proxy := &url.URL{Scheme: "socks5h", Host: ports.Replace("127.0.0.1:1080")}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
	resp, err := client.Get(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil {
		t.Errorf("got %q and error %v, want hello", body, err)
	}
}

// freeAddress returns an address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
