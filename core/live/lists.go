package live

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/view"
)

// Users implements view.Source.
func (s *Source) Users() []view.User {
	users := map[string]*view.User{}
	get := func(name string) *view.User {
		if users[name] == nil {
			users[name] = &view.User{Name: name}
		}
		return users[name]
	}
	for _, t := range s.engine.Totals(true) {
		for name, sum := range t.Users {
			if name == "" {
				continue
			}
			u := get(name)
			u.Connections += sum.Live
			u.Up += sum.Up
			u.Down += sum.Down
			if sum.Seen.After(u.LastSeen) {
				u.LastSeen = sum.Seen
			}
		}
	}
	f, _ := s.current()
	if f == nil {
		return []view.User{}
	}
	for _, id := range f.quotas {
		var quotas []struct {
			User        string
			Used, Quota int64
			Resets      time.Time
		}
		if s.list(context.Background(), id, []string{"quota", "list"}, &quotas) != nil {
			continue // it has no quotas
		}
		for _, q := range quotas {
			if q.User == "-" {
				continue
			}
			u := get(q.User)
			u.Used, u.Quota, u.Resets = u.Used+q.Used, q.Quota, q.Resets
		}
	}
	all := make([]view.User, 0, len(users))
	for _, u := range users {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b view.User) int {
		return cmp.Or(cmp.Compare(b.Up+b.Down, a.Up+a.Down), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// list has a component do a command, and reads the answer as JSON.
func (s *Source) list(ctx context.Context, id config.ID, words []string, into any) error {
	answer, err := s.engine.Command(ctx, id, words)
	if err != nil {
		return err
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// Bans implements view.Source.
func (s *Source) Bans(ctx context.Context) ([]view.Ban, error) {
	all := []view.Ban{}
	f, _ := s.current()
	if f == nil {
		return all, nil
	}
	for _, id := range f.bans {
		var bans []view.Ban
		if err := s.list(ctx, id, []string{"list"}, &bans); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		for i := range bans {
			bans[i].Policy = id.String()
		}
		all = append(all, bans...)
	}
	return all, nil
}

// Lift implements view.Source.
func (s *Source) Lift(ctx context.Context, policy string, client netip.Prefix) error {
	f, _ := s.current()
	id := config.ID{Section: core.SectionPolicy, Name: strings.TrimPrefix(policy, string(core.SectionPolicy)+".")}
	if f == nil || !slices.Contains(f.bans, id) {
		return fmt.Errorf("%q is no policy that bans: %w", policy, view.ErrNotFound)
	}
	_, err := s.engine.Command(ctx, id, []string{"remove", client.String()})
	return err
}

// Select implements view.Source.
func (s *Source) Select(ctx context.Context, group, member string) error {
	f, _ := s.current()
	id := config.ID{Section: core.SectionOutbound, Name: group}
	if f == nil || !slices.Contains(f.groups, id) {
		return fmt.Errorf("%s is no group: %w", id, view.ErrNotFound)
	}
	_, err := s.engine.Command(ctx, id, []string{"take", member})
	return err
}
