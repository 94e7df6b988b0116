package engine_test

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
)

// A policy that would do nothing is refused where its table stands.
func TestPolicyWithoutRole(t *testing.T) {
	w := newWorld()
	f := w.parse(t, "[pipeline.p]\nchain = [\"policy.door\", \"inbound.in\", \"outbound.a\"]\n"+
		strings.Replace(stages, "[policy]\n", "[policy]\ndoor = { kind = \"void\" }\n", 1), coretest.FreeAddr(t))
	want := `f:15:1: policy.door: kind "void" is neither a gate, a middleware nor an observer, so it would do nothing; its methods are Admitt`
	if err := engine.Check(&w.reg, f, coretest.Log(t)); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// observer is a policy that only learns.
type observer struct{}

func (observer) Observe(core.Event) {}

// misspelt is a gate but for a typing error.
type misspelt struct{}

func (misspelt) Admitt(core.Client) error { return nil }

// deadEnd is a middleware that makes no dialer.
type deadEnd struct{}

func (deadEnd) Wrap(core.Dialer) core.Dialer { return nil }
