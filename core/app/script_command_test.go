package app_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// counter is an outbound that takes commands. Its answers are of every form.
type counter struct {
	*coretest.Dialer
	sent int
}

// tally has a text for people.
type tally struct {
	Sent int `json:"sent"`
}

func (t tally) String() string { return fmt.Sprintf("%d commands so far", t.Sent) }

func (c *counter) Over(core.Dialer) (core.Dialer, error) { return c, nil }

func (c *counter) Command(_ context.Context, words []string) (any, error) {
	c.sent++ // commands of the script come one after the other
	switch strings.Join(words, " ") {
	case "tally":
		return tally{c.sent}, nil
	case "raw":
		return map[string]int{"sent": c.sent}, nil
	case "nothing":
		return nil, nil
	case "fail":
		return nil, fmt.Errorf("command %d failed", c.sent)
	}
	return strings.Join(words, "|"), nil
}

// registerCounter registers an outbound "counter".
func registerCounter(r *core.Registry) {
	core.Add(&r.Outbound, "counter", func(core.Env, struct{}) (core.Outbound, error) {
		return &counter{Dialer: coretest.NewDialer()}, nil
	})
}
