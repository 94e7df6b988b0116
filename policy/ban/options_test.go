package ban

import (
	"errors"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Options)
		key    string
	}{
		{"defaults", func(*Options) {}, ""},
		{"failures", func(o *Options) { o.Failures = 0 }, "failures"},
		{"too many failures", func(o *Options) { o.Failures = 1000 }, "failures"},
		{"window", func(o *Options) { o.Window = 1 }, "window"},
		{"duration", func(o *Options) { o.Duration = 0 }, "duration"},
		{"max_duration", func(o *Options) { o.MaxDuration = 1 }, "max_duration"},
		{"decay", func(o *Options) { o.Decay = 0 }, "decay"},
		{"prefix_v4", func(o *Options) { o.PrefixV4 = 33 }, "prefix_v4"},
		{"prefix_v6", func(o *Options) { o.PrefixV6 = 0 }, "prefix_v6"},
		{"max_entries", func(o *Options) { o.MaxEntries = 0 }, "max_entries"},
		{"kernel_table", func(o *Options) { o.KernelTable = "a b" }, "kernel_table"},
		{"unknown weight", func(o *Options) { o.Weights = map[string]float64{"auht": 1} }, "weights"},
		{"negative weight", func(o *Options) { o.Weights = map[string]float64{"auth": -1} }, "weights.auth"},
		{"weights", func(o *Options) { o.Weights = map[string]float64{"auth": 0.5, "short": 0} }, ""},
		{"store in no folder", func(o *Options) { _ = o.Store.UnmarshalText([]byte("file:/none/such/bans")) }, "store"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := defaults()
			tc.change(&o)
			e, _ := env()
			_, err := New(e, o)
			if bad, ok := errors.AsType[*core.OptionError](err); ok != (tc.key != "") || ok && bad.Key != tc.key {
				t.Errorf("got %v, want an error for the key %q", err, tc.key)
			}
		})
	}
	for _, into := range []interface{ UnmarshalText([]byte) error }{new(Mode), new(Action)} {
		if err := into.UnmarshalText([]byte("nonsense")); err == nil || !strings.Contains(err.Error(), "want one of ") {
			t.Errorf("%T: got %v, want an error with the words", into, err)
		}
	}
}

func TestWeights(t *testing.T) {
	o := defaults()
	o.Weights = map[string]float64{"auth": 0.5, "replay": 3, "short": 0}
	p, _ := newPolicy(t, o)
	a, b, c := client("192.0.2.1"), client("192.0.2.2"), client("192.0.2.3")
	fail(p, a, 5, core.ErrAuth)
	fail(p, b, 1, core.ErrReplay)
	fail(p, c, 1000, core.ErrShort)
	if isBanned(p, a) || !isBanned(p, b) || isBanned(p, c) {
		t.Errorf("banned: %t, %t, %t, want the second alone", isBanned(p, a), isBanned(p, b), isBanned(p, c))
	}
	if fail(p, a, 1, core.ErrAuth); !isBanned(p, a) {
		t.Error("six halves are no three")
	}
}
