package plan_test

import (
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/plugins"
)

// TestObserverRole tells observers from what else stands at their places.
func TestObserverRole(t *testing.T) {
	reg := &core.Registry{}
	plugins.Standard(reg)
	core.Add(&reg.Observer, "watch", func(core.Env, struct{}) (core.Observer, error) { return nil, nil })
	f, err := config.Parse("test.toml", []byte(`
[pipeline.p]
chain = ["observer.watch", "policy.ban", "inbound.socks5", "observer.second", "policy.acl", "outbound.direct"]
[observer.watch]
[observer.second]
kind = "watch"
[policy.ban]
[policy.acl]
[inbound.socks5]
listen = "127.0.0.1:1080"
[outbound.direct]
`), reg)
	if err != nil {
		t.Fatal(err)
	}
	var roles []plan.Role
	for _, s := range plan.Of(f).Pipelines[0].Stages {
		roles = append(roles, s.Role)
	}
	want := []plan.Role{plan.Observer, plan.Gate, plan.Inbound, plan.Observer, plan.Middleware, plan.Hop}
	if !slices.Equal(roles, want) {
		t.Errorf("got %v, want %v", roles, want)
	}
}
