package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
)

// commanded is a component that repeats what it is told.
type commanded struct{ part }

func (c commanded) Command(_ context.Context, words []string) (any, error) {
	switch strings.Join(words, " ") {
	case "panic":
		panic("slice bounds")
	case "":
		return nil, errors.New("want a word")
	}
	return c.id + ": " + strings.Join(words, " "), nil
}

type commandedCipher struct {
	cipher
	commanded
}

type commandedOutbound struct {
	core.Outbound
	commanded
}

// A component of any section takes commands, by its ID, under the file that runs.
func TestCommand(t *testing.T) {
	w := newWorld()
	core.Add(&w.reg.Cipher, "commanded", func(env core.Env, _ struct{}) (core.Cipher, error) {
		return commandedCipher{commanded: commanded{w.part(env)}}, nil
	})
	core.Add(&w.reg.Outbound, "commanded", func(env core.Env, _ struct{}) (core.Outbound, error) {
		return commandedOutbound{commanded: commanded{w.part(env)}}, nil
	})
	text := one + "\n[cipher.c]\nkind = \"commanded\"\n[outbound.o]\nkind = \"commanded\"\n[cipher.plain]\nkind = \"key\"\n"
	at := coretest.FreeAddr(t)
	var log strings.Builder
	e := engine.New(&w.reg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})))
	if _, err := e.Command(t.Context(), config.ID{Section: "cipher", Name: "c"}, nil); !errors.Is(err, core.ErrShutdown) {
		t.Errorf("before the start: got %v, want core.ErrShutdown", err)
	}
	if err := e.Start(t.Context(), w.parse(t, text, at)); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Shutdown(ended()) }()
	for _, tc := range []struct{ section, name, words, want, err string }{
		{"cipher", "c", "say hello", "cipher.c: say hello", ""},
		{"outbound", "o", "say hello", "outbound.o: say hello", ""},
		{"cipher", "c", "", "", "want a word"},
		{"cipher", "c", "panic", "", "panic: slice bounds"},
		{"cipher", "plain", "list", "", "cipher.plain takes no commands"},
		{"cipher", "none", "list", "", "the running file has no cipher.none"},
	} {
		got, err := e.Command(t.Context(), config.ID{Section: core.Section(tc.section), Name: tc.name}, strings.Fields(tc.words))
		if tc.err != "" {
			wants(t, err, tc.err)
		} else if got != tc.want || err != nil {
			t.Errorf("%s.%s %q: got %v, %v, want %q", tc.section, tc.name, tc.words, got, err, tc.want)
		}
	}
	if !strings.Contains(log.String(), "command panicked") || !strings.Contains(log.String(), "cipher.c") {
		t.Errorf("got the log %q, want the panic", log.String())
	}
}
