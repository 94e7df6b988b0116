package option_test

import (
	"errors"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

type limits struct {
	Most  int      `toml:"most" min:"1"`
	Rates []string `toml:"rates" oneof:"slow,fast"`
}

type checked struct {
	_ core.About
	limits
	Size    int             `toml:"size" default:"3" min:"1"`
	Port    uint16          `toml:"port" required:"true" min:"1"`
	Share   *float64        `toml:"share" max:"1"`
	Weights map[string]int  `toml:"weights" max:"9"`
	By      map[string]tune `toml:"by"`
	All     []tune          `toml:"all"`
	Allow   []option.Prefix `toml:"allow"`
	Skipped int             `min:"1"`
	hidden  int
}

type tune struct {
	Wait option.Duration `toml:"wait" min:"1s"`
}

func TestCheck(t *testing.T) {
	two := 2.0
	for _, tc := range []struct {
		name   string
		change func(*checked)
		want   string
	}{
		{"left out", func(*checked) {}, ""},
		{"zero of a default", func(c *checked) { c.Size = 0 }, "size: want 1 or more, got 0"},
		{"zero of a required option", func(c *checked) { c.Port = 0 }, "port: want 1 or more, got 0"},
		{"of an embedded struct", func(c *checked) { c.Most = -1 }, "most: want 1 or more, got -1"},
		{"element of a list", func(c *checked) { c.Rates = []string{"slow", "quick"} }, `rates: want one of slow, fast, got "quick"`},
		{"pointer", func(c *checked) { c.Share = &two }, "share: want up to 1, got 2"},
		{"value of a map", func(c *checked) { c.Weights = map[string]int{"a": 1, "b": 10} }, "weights.b: want up to 9, got 10"},
		{"of a table of tables", func(c *checked) { c.By = map[string]tune{"a": {}, "b": {1}} }, "by.b.wait: want 1s or more, got 1ns"},
		{"of a list of tables", func(c *checked) { c.All = []tune{{2e9}, {1}} }, "all.wait: want 1s or more, got 1ns"},
		{"no bounds", func(c *checked) { c.Allow = make([]option.Prefix, 1) }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := checked{Size: 1, Port: 1}
			tc.change(&c)
			_ = c.hidden
			got := ""
			err := option.Check(c)
			if err != nil {
				got = err.Error()
			}
			if _, ok := errors.AsType[*core.OptionError](err); got != tc.want || ok != (err != nil) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if err := option.Check(struct {
		Size int `toml:"size" default:"1" min:"x"`
	}{}); err == nil {
		t.Error("a bound that can't be read: got nil, want an error")
	}
}
