package engine_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/plugins"
)

func branchKinds() *core.Registry {
	reg := &core.Registry{}
	plugins.Standard(reg)
	return reg
}

// TestExplainBranches draws a fan of branches with another one in it, and prints the
// same for programs.
func TestExplainBranches(t *testing.T) {
	const path = "testdata/explain/branches.toml"
	reg := branchKinds()
	if err := config.CheckDescriptions(reg); err != nil {
		t.Error(err)
	}
	golden(t, "branches", explain(t, path, reg))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := config.Parse(path, text, reg)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := plan.Of(f).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "branches_json", b.String())
}

// TestResolveBranches asks for a name on each way through the branches.
func TestResolveBranches(t *testing.T) {
	f, err := config.Load(filepath.Join("testdata", "explain", "branches.toml"), branchKinds())
	if err != nil {
		t.Fatal(err)
	}
	all, err := engine.Resolve(t.Context(), branchKinds(), f, slog.New(slog.DiscardHandler), "nas.example")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all {
		line := strings.Join(r.Branch, "/") + ": " + r.Finder
		for _, found := range r.Found {
			line += " " + found.IP.String()
		}
		got = append(got, line)
	}
	want := []string{
		"rule.ads: none needed: outbound.nowhere dials no target",
		"rule.office: resolver.hosts, on this machine 192.0.2.5",
		"rule.far: the server of outbound.lima, which is sent the names",
		"otherwise/paris: the server of outbound.paris, which is sent the names",
		"otherwise/tokyo: the server of outbound.tokyo, which is sent the names",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
