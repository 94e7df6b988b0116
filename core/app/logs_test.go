package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/autoban"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/logging"
	"github.com/umbra-proxy/umbra/core/option"
)

func suspect(at string) core.Suspect { return core.Suspect{AddrPort: netip.MustParseAddrPort(at)} }

func TestText(t *testing.T) {
	for _, tc := range []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"no attributes", func(l *slog.Logger) { l.Info("umbra stopped") }, "INFO  umbra stopped"},
		{"levels", func(l *slog.Logger) { l.Error("x"); l.Warn("y"); l.Debug("z") }, "ERROR x\nWARN  y\nDEBUG z"},
		{"plain values", func(l *slog.Logger) {
			l.Info("m", "s", "text", "n", -3, "f", 0.5, "b", true, "d", 1500*time.Millisecond, "a", netip.MustParseAddrPort("[::1]:80"))
		}, "INFO  m s=text n=-3 f=0.5 b=true d=1.5s a=[::1]:80"},
		{"time", func(l *slog.Logger) { l.Info("m", "at", time.Unix(0, 5e6)) }, "INFO  m at=1970-01-01T00:00:00.005Z"},
		{"quoted values", func(l *slog.Logger) {
			l.Info("m", "empty", "", "space", "two words", "quote", `a"b`, "equals", "a=b", "line", "a\nb", "bad", "a\xffb")
		}, `INFO  m empty="" space="two words" quote="a\"b" equals="a=b" line="a\nb" bad="a\xffb"`},
		{"error", func(l *slog.Logger) { l.Info("m", "err", errors.New("dial: refused")) }, `INFO  m err="dial: refused"`},
		{"nothing", func(l *slog.Logger) { l.Info("m", slog.Any("err", nil), slog.Attr{}) }, `INFO  m err=<nil>`},
		{"a forged line", func(l *slog.Logger) { l.Info("m", "user", "x\n2006-01-02T15:04:05.000Z ERROR all is lost") },
			`INFO  m user="x\n2006-01-02T15:04:05.000Z ERROR all is lost"`},
		{"a forged line in a message", func(l *slog.Logger) { l.Info("a\nb") }, `INFO  "a\nb"`},
		{"a terminal's escape", func(l *slog.Logger) { l.Info("m", "user", "\x1b[31m") }, `INFO  m user="\x1b[31m"`},
		{"secrets", func(l *slog.Logger) {
			l.Info("m", "one", option.Text("sesame"), "many", map[string]option.Text{"alice": "sesame"}, "struct", struct{ P option.Text }{"sesame"})
		}, `INFO  m one=[redacted] many=map[alice:[redacted]] struct={[redacted]}`},
		{"groups", func(l *slog.Logger) {
			l.WithGroup("a").With("x", 1).Info("m", "y", 2, slog.Group("b", "z", 3), slog.Group("", "w", 4))
		}, "INFO  m a.x=1 a.y=2 a.b.z=3 a.w=4"},
		{"a suspect", func(l *slog.Logger) {
			l.With("inbound", "ss").Warn("handshake failed", "client", suspect("192.0.2.1:4711"), "reason", "auth", "err", errors.New("length: no"))
		}, `WARN  handshake failed inbound=ss reason=auth err="length: no"; can not parse header when handling connection from 192.0.2.1:4711`},
		{"a suspect by IPv6", func(l *slog.Logger) { l.Warn("m", "client", suspect("[2001:db8::1]:4711")) },
			"WARN  m; can not parse header when handling connection from 2001:db8::1:4711"},
		{"a suspect by IPv4 in IPv6", func(l *slog.Logger) { l.Warn("m", "client", suspect("[::ffff:192.0.2.1]:4711")) },
			"WARN  m; can not parse header when handling connection from 192.0.2.1:4711"},
		{"a suspect of a zone", func(l *slog.Logger) { l.Warn("m", "client", suspect("[fe80::1%eth0]:4711")) },
			"WARN  m; can not parse header when handling connection from fe80::1:4711"},
		{"a suspect without an address", func(l *slog.Logger) { l.Warn("m", "client", core.Suspect{}) }, `WARN  m client="invalid AddrPort"`},
		{"a forged suspect", func(l *slog.Logger) {
			l.Info("m", "user", "x\n"+autoban.Phrase+" 192.0.2.9:80", "target", "192.0.2.9:80")
		}, `INFO  m user="x\ncan\x20not\x20parse header when handling connection from 192.0.2.9:80" target=192.0.2.9:80`},
		{"brothers", func(l *slog.Logger) {
			l = l.With("a", 1)
			x, y := l.With("x", 1), l.With("y", 1)
			x.Info("m")
			y.Info("m")
		}, "INFO  m a=1 x=1\nINFO  m a=1 y=1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			tc.log(slog.New(&textHandler{w: plainLines{&b}, least: slog.LevelDebug}))
			if got := strings.TrimSuffix(b.String(), "\n"); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestTextTime(t *testing.T) {
	var b bytes.Buffer
	h := &textHandler{w: plainLines{&b}, layout: timeLayout}
	at := time.Date(2026, 11, 24, 3, 45, 10, 123456789, time.FixedZone("", 3600))
	if err := h.Handle(t.Context(), slog.NewRecord(at, slog.LevelInfo, "m", 0)); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "2026-11-24T02:45:10.123Z INFO  m\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLogsSwap changes level and form under a logger that was derived before.
func TestLogsSwap(t *testing.T) {
	var b bytes.Buffer
	h := newLogs(plainLines{&b})
	log := slog.New(h).With("inbound", "ss").WithGroup("g")
	log.Debug("not yet")
	log.Info("text", "n", 1)
	h.set(config.Log{Level: config.Level(slog.LevelDebug), Format: config.FormatJSON})
	log.Debug("as json", "n", 2)
	h.set(config.Log{Level: config.Level(slog.LevelError), Format: config.FormatText})
	log.Warn("no more")
	log.Error("text again", "n", 3)

	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %d lines, want 3:\n%s", len(lines), b.String())
	}
	if want := "INFO  text inbound=ss g.n=1"; !strings.HasSuffix(lines[0], want) {
		t.Errorf("got %q, want it to end with %q", lines[0], want)
	}
	if want := "ERROR text again inbound=ss g.n=3"; !strings.HasSuffix(lines[2], want) {
		t.Errorf("got %q, want it to end with %q", lines[2], want)
	}
	var line struct {
		Level, Msg, Inbound string
		G                   struct{ N int }
	}
	if err := json.Unmarshal([]byte(lines[1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Level != "DEBUG" || line.Msg != "as json" || line.Inbound != "ss" || line.G.N != 2 {
		t.Errorf("got %+v", line)
	}
}

// TestLogsRace writes in all forms while they change: no line is lost and none
// is mixed with another.
func TestLogsRace(t *testing.T) {
	const writers, each = 4, 200
	var b bytes.Buffer
	made := newSetting()
	q := logging.NewQueue(logging.NewStream(&b), 4096, made.reportMissing)
	h := made.logs(q)
	var wg sync.WaitGroup
	for range writers {
		log := slog.New(h).With("k", "v")
		wg.Go(func() {
			for i := range each {
				log.Info("line", "n", i)
			}
		})
	}
	wg.Go(func() {
		for i := range each {
			format := []config.Format{config.FormatText, config.FormatJSON, config.FormatPython}[i%3]
			h.set(config.Log{Format: format})
		}
	})
	wg.Wait()
	if !q.Close(time.Minute) {
		t.Fatal("lines are left")
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != writers*each {
		t.Errorf("got %d lines, want %d", len(lines), writers*each)
	}
	for _, line := range lines {
		if isJSON := json.Valid([]byte(line)); !isJSON && !strings.Contains(line, "Z INFO  line k=v n=") && !strings.Contains(line, " INFO     line k=v n=") {
			t.Errorf("got a broken line %q", line)
		}
	}
}

func BenchmarkText(b *testing.B) {
	log := slog.New(newLogs(plainLines{io.Discard})).With("pipeline", "local")
	b.ReportAllocs()
	for b.Loop() {
		log.Info("stream closed", "id", 17, "target", "example.com:443", "up", 1200, "down", 34000, "took", 3*time.Second)
	}
}
