// Package selector is the outbound that takes the member that a person has chosen.
package selector

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// Options are the keys of an [outbound.x] table of kind "select".
type Options struct {
	_ core.About `help:"takes the member that a person has chosen: see umbra select"`
	group.Options
	First  string `toml:"first" help:"the member until another one is chosen; the first of members if left out"`
	Others bool   `toml:"others" default:"false" help:"while the chosen member fails or is out, the others stand in for it, in their order"`
	File   string `toml:"file" help:"keeps the choice over a restart; relative to the working directory"`
}

// Outbound is the group.
type Outbound struct {
	*group.Group
	env    core.Env
	picker *picker
	file   string
}

var (
	_ core.Outbound  = (*Outbound)(nil)
	_ core.Commander = (*Outbound)(nil)
)

// choice is what a person has chosen. It is kept over a reload.
type choice struct {
	mu     sync.Mutex
	member string // the name; "" before the first choice; guarded by mu
}

// New returns the outbound. Its errors name the option to correct.
func New(env core.Env, o Options) (core.Outbound, error) {
	p := &picker{others: o.Others}
	g, err := group.New(env, o.Options, p)
	if err != nil {
		return nil, err
	}
	s := &Outbound{Group: g, env: env, picker: p, file: o.File}
	first := 0
	if o.First != "" {
		m := s.member(o.First)
		if m == nil {
			return nil, core.BadOption("first", "%s is none of the members: %s", o.First, strings.Join(s.names(), ", "))
		}
		first = m.Index()
	}
	stored := ""
	if o.File != "" {
		if stored, err = load(o.File); err != nil {
			return nil, core.BadOption("file", "%w", err)
		}
	}
	core.Keep(env, func(old *choice) *choice {
		c := old
		if c == nil {
			c = &choice{member: stored}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		m := g.Members()[first]
		if chosen := s.member(c.member); chosen != nil {
			m = chosen
		} else if c.member != "" {
			env.Log.Warn("the member that was chosen is not in the group any more", slog.String("member", c.member), slog.String("takes", m.Name()))
		}
		p.chosen.Store(m)
		g.SwitchTo(m)
		p.choice = c
		return c
	})
	return s, nil
}

// member returns the member with a name, or nil.
func (s *Outbound) member(name string) *group.Member {
	for _, m := range s.Members() {
		if m.Name() == name {
			return m
		}
	}
	return nil
}

// names returns the names of the members.
func (s *Outbound) names() []string {
	var names []string
	for _, m := range s.Members() {
		names = append(names, m.Name())
	}
	return names
}

// Command answers "list" with the state of the members, and "take NAME" by taking a member
// from then on.
func (s *Outbound) Command(ctx context.Context, words []string) (any, error) {
	if len(words) != 2 || words[0] != "take" {
		if len(words) > 0 && words[0] != "list" {
			return nil, fmt.Errorf("want list or take MEMBER, got %q", strings.Join(words, " "))
		}
		return s.Group.Command(ctx, words)
	}
	m := s.member(words[1])
	if m == nil {
		return nil, fmt.Errorf("%q is none of the members: %s", words[1], strings.Join(s.names(), ", "))
	}
	if err := s.take(m); err != nil {
		return nil, err
	}
	return s.Status(), nil
}

// take has m serve from now on, and over a restart if there is a file for it.
func (s *Outbound) take(m *group.Member) error {
	c := s.picker.choice
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.file != "" {
		if err := save(s.file, m.Name()); err != nil {
			return err
		}
	}
	c.member = m.Name()
	if old := s.picker.chosen.Swap(m); old != m {
		s.env.Log.Info("member chosen", slog.String("member", m.Name()), slog.String("before", old.Name()))
	}
	s.SwitchTo(m)
	return nil
}
