package live

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/plan"
	"github.com/umbra-proxy/umbra/core/view"
)

// face is what is kept of a file while it is served, to show it and to tell what another
// one changes. Secrets are in it as digests alone.
type face struct {
	plan      *plan.Plan
	text      string                       // the digest of the file's text
	tables    map[string]string            // digests of components' own tables, by ID
	processes map[string]map[string]string // the options of [log], [process] and [admin], by table and key
	groups    []config.ID                  // outbounds that have members
	bans      []config.ID                  // policies that ban
	quotas    []config.ID                  // policies that have quotas
}

// faceOf returns the face of a file.
func faceOf(f *config.File, key []byte) *face {
	to := &face{plan: plan.Of(f), text: digestOf(f, key), tables: map[string]string{}, processes: map[string]map[string]string{}}
	for id, c := range f.Components {
		to.tables[id.String()] = f.TableDigest(id)
		switch {
		case id.Section == core.SectionOutbound && len(c.Members()) > 0:
			to.groups = append(to.groups, id)
		case id.Section == core.SectionPolicy && c.Kind == "ban":
			to.bans = append(to.bans, id)
		case id.Section == core.SectionPolicy && c.Kind == "limit":
			to.quotas = append(to.quotas, id)
		}
	}
	for _, ids := range [][]config.ID{to.groups, to.bans, to.quotas} {
		slices.SortFunc(ids, func(a, b config.ID) int { return cmp.Compare(a.Name, b.Name) })
	}
	for name, table := range map[string]any{"[log]": f.Log, "[process]": f.Process, "[admin]": f.Admin} {
		to.processes[name] = optionsOf(reflect.ValueOf(table))
	}
	return to
}

// newKey returns a key for digestOf.
func newKey() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return key
}

// digestOf returns a digest of a file's text. Without the key of the process nobody can try
// passwords by it.
func digestOf(f *config.File, key []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(f.TextDigest()))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// optionsOf returns the values of a table as text, by their keys.
func optionsOf(table reflect.Value) map[string]string {
	all := map[string]string{}
	for i := range table.NumField() {
		if key := table.Type().Field(i).Tag.Get("toml"); key != "" {
			all[key] = fmt.Sprint(table.Field(i).Interface())
		}
	}
	return all
}

// to returns what changes from one file to another.
func (f *face) to(next *face) *view.Change {
	c := &view.Change{Digest: next.text, Kept: []string{}, Opened: []string{}, Closed: []string{}, Added: []string{}, Removed: []string{}, Changed: []view.Diff{}}
	c.Kept, c.Closed, c.Opened = split(f.listeners(), next.listeners())
	both, gone, added := split(f.names(), next.names())
	c.Removed, c.Added = gone, added
	for _, id := range both {
		if keys := f.differ(next, id); len(keys) > 0 {
			c.Changed = append(c.Changed, view.Diff{ID: id, Options: keys})
		}
	}
	for _, name := range []string{"[log]", "[process]", "[admin]"} {
		if keys := different(f.processes[name], next.processes[name]); len(keys) > 0 {
			c.Changed = append(c.Changed, view.Diff{ID: name, Options: keys})
		}
	}
	return c
}

// split returns what is in both lists, in a alone and in b alone. The lists are sorted.
func split(a, b []string) (both, onlyA, onlyB []string) {
	both, onlyA, onlyB = []string{}, []string{}, []string{}
	for _, s := range a {
		if _, found := slices.BinarySearch(b, s); found {
			both = append(both, s)
		} else {
			onlyA = append(onlyA, s)
		}
	}
	for _, s := range b {
		if _, found := slices.BinarySearch(a, s); !found {
			onlyB = append(onlyB, s)
		}
	}
	return both, onlyA, onlyB
}

// listeners returns the addresses on which inbounds of pipelines listen, sorted.
func (f *face) listeners() []string {
	var all []string
	for _, p := range f.plan.Pipelines {
		for _, s := range p.Stages {
			if s.Role != plan.Inbound {
				continue
			}
			for _, l := range f.plan.Components[s.Component].Listeners {
				all = append(all, fmt.Sprintf("%s %s (%s)", strings.Join(l.Networks, "+"), l.Address, s.Component))
			}
		}
	}
	slices.Sort(all)
	return all
}

// names returns the IDs of components and pipelines, sorted.
func (f *face) names() []string {
	var all []string
	for id := range f.plan.Components {
		all = append(all, id)
	}
	for _, p := range f.plan.Pipelines {
		all = append(all, "pipeline."+p.Name)
	}
	slices.Sort(all)
	return all
}

// differ returns the keys that differ between two files in one component or pipeline.
func (f *face) differ(next *face, id string) []string {
	if name, ok := strings.CutPrefix(id, "pipeline."); ok {
		a, b := f.pipeline(name), next.pipeline(name)
		keys := different(textsOf(a.Options), textsOf(b.Options))
		if !slices.EqualFunc(a.Stages, b.Stages, func(a, b plan.Stage) bool { return a.Component == b.Component }) && !slices.Contains(keys, "chain") {
			keys = append(keys, "chain")
		}
		return keys
	}
	if f.tables[id] == next.tables[id] {
		return nil
	}
	a, b := f.plan.Components[id], next.plan.Components[id]
	keys := different(textsOf(a.Options), textsOf(b.Options))
	if a.Kind != b.Kind {
		keys = append(keys, "kind")
	}
	if len(keys) == 0 { // all that shows is the same
		keys = append(keys, b.Secrets...)
	}
	if len(keys) == 0 {
		keys = append(keys, "written otherwise")
	}
	return keys
}

func (f *face) pipeline(name string) *plan.Pipeline {
	for _, p := range f.plan.Pipelines {
		if p.Name == name {
			return p
		}
	}
	return &plan.Pipeline{}
}

func textsOf(options []plan.Option) map[string]string {
	all := map[string]string{}
	for _, o := range options {
		all[o.Key] = o.Value
	}
	return all
}

// different returns the keys whose values differ, sorted.
func different(a, b map[string]string) []string {
	var keys []string
	for k, v := range a {
		if b[k] != v {
			keys = append(keys, k)
		}
	}
	for k := range b {
		if _, known := a[k]; !known {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
