package app

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/autoban"
	"github.com/umbra-proxy/umbra/core/config"
)

func TestPython(t *testing.T) {
	failed := func(l *slog.Logger) {
		l.With("inbound", "ss").Warn("handshake failed", "client", suspect("[2001:db8::1]:4711"), "reason", "auth", "err", errors.New("length: no"))
	}
	const line = "ERROR    can not parse header when handling connection from 2001:db8::1:4711"
	for _, tc := range []struct {
		name  string
		level slog.Level
		log   func(*slog.Logger)
		want  string
	}{
		{"levels", slog.LevelDebug, func(l *slog.Logger) { l.Error("x"); l.Warn("y"); l.Info("z"); l.Debug("w") }, "ERROR    x\nWARNING  y\nINFO     z\nDEBUG    w"},
		{"attributes", slog.LevelInfo, func(l *slog.Logger) { l.With("a", 1).WithGroup("g").Info("m", "b", "two words") }, `INFO     m a=1 g.b="two words"`},
		{"a suspect", slog.LevelInfo, failed, line},
		{"a suspect where errors are logged", slog.LevelError, func(l *slog.Logger) { failed(l); l.Warn("no more") }, line},
		{"a suspect in detail", slog.LevelDebug, failed, `DEBUG    handshake failed inbound=ss reason=auth err="length: no"` + "\n" + line},
		{"a forged suspect", slog.LevelInfo, func(l *slog.Logger) { l.Info("m", "user", "x\n"+autoban.Phrase+" 192.0.2.9:80") },
			`INFO     m user="x\ncan\x20not\x20parse header when handling connection from 192.0.2.9:80"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			h := newLogs(plainLines{&b})
			h.set(config.Log{Level: config.Level(tc.level), Format: config.FormatPython})
			tc.log(slog.New(h))
			stamp := regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} `)
			var got []string
			for line := range strings.SplitSeq(strings.TrimSuffix(b.String(), "\n"), "\n") {
				if !stamp.MatchString(line) {
					t.Errorf("got a line without a time: %q", line)
				}
				got = append(got, stamp.ReplaceAllString(line, ""))
			}
			if got := strings.Join(got, "\n"); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}
