package limit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

var _ core.Commander = (*Policy)(nil)

// nameless is how the user without a name is written in commands.
const nameless = "-"

// Quota is what a user has used, in an answer of `umbra quota`.
type Quota struct {
	User   string    `json:"user"`  // "-" for requests without a user
	Used   int64     `json:"used"`  // bytes in this period, since the last reset
	Quota  int64     `json:"quota"` // bytes; 0 for no quota
	Spent  bool      `json:"spent"`
	Resets time.Time `json:"resets"` // the end of the period
}

// String returns the answer in words.
func (q Quota) String() string {
	return fmt.Sprintf("%s has used %s of %s until %s", q.User, sizeText(q.Used), quotaText(q.Quota), q.Resets.Format(time.DateOnly))
}

// Quotas are those of all users.
type Quotas []Quota

// String returns a table.
func (all Quotas) String() string {
	if len(all) == 0 {
		return "no user has used anything"
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "user\tused\tquota\tspent\tuntil\n")
	for _, q := range all {
		spent := "no"
		if q.Spent {
			spent = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", q.User, sizeText(q.Used), quotaText(q.Quota), spent, q.Resets.Format(time.DateOnly))
	}
	_ = t.Flush() // to memory
	return strings.TrimSuffix(b.String(), "\n")
}

// Reset is the answer to a reset.
type Reset struct{ Quota }

// String returns the answer in words.
func (r Reset) String() string { return r.User + " begins anew: " + r.Quota.String() }

func quotaText(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return option.Size(n).String()
}

// sizeText returns a number of bytes, rounded to a tenth of its unit.
func sizeText(n int64) string { return option.Size(n).Rounded() }

// Command executes the commands of `umbra quota`. Each answer is a fmt.Stringer.
//
//	quota list        lists what users have used in this period
//	quota show USER   is the same for one
//	quota reset USER  forgives what a user has used, on all nodes
func (p *Policy) Command(_ context.Context, words []string) (any, error) {
	now := time.Now()
	switch {
	case len(words) == 2 && words[0] == "quota" && words[1] == "list":
		return p.users.quotas(now), nil
	case len(words) == 3 && words[0] == "quota" && words[1] == "show":
		return p.users.show(words[2], now)
	case len(words) == 3 && words[0] == "quota" && words[1] == "reset":
		return p.reset(words[2], now)
	}
	return nil, errors.New("want quota list, quota show USER or quota reset USER")
}

// reset forgives what a user has used.
func (p *Policy) reset(name string, now time.Time) (any, error) {
	us := p.users
	us.mu.Lock()
	us.turn(now)
	u, err := us.lookUp(name, now)
	if err != nil {
		us.mu.Unlock()
		return nil, err
	}
	e, ok := us.reset(u, now)
	q := us.quota(u)
	us.log.Info("quota reset", "user", u.name)
	us.mu.Unlock()
	if ok {
		us.link.Load().mirror.Put(e)
	}
	return Reset{q}, nil
}

func (us *users) show(name string, now time.Time) (any, error) {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.turn(now)
	u, err := us.lookUp(name, now)
	if err != nil {
		return nil, err
	}
	return us.quota(u), nil
}

// lookUp returns a user who has used something, or has limits of its own. mu is held.
func (us *users) lookUp(name string, now time.Time) (*user, error) {
	if name == nameless {
		name = ""
	}
	_, named := us.options.Users[name]
	if u := us.all[name]; u != nil {
		return u, nil
	}
	if !named {
		return nil, fmt.Errorf("user %q has used nothing since %s; umbra quota list has the names", name, us.begins.Format(time.DateOnly))
	}
	u := us.user(name, now)
	if u == nil {
		return nil, errors.New("the table of users is full")
	}
	return u, nil
}

// quotas returns what all users have used, the highest use first.
func (us *users) quotas(now time.Time) Quotas {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.turn(now)
	list := Quotas{}
	for _, u := range us.all {
		list = append(list, us.quota(u))
	}
	for name := range us.options.Users {
		if us.all[name] == nil {
			list = append(list, Quota{User: name, Quota: int64(us.options.of(name).quota), Resets: us.ends})
		}
	}
	slices.SortFunc(list, func(a, b Quota) int { return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.User, b.User)) })
	return list
}

// quota returns what a user has used. mu is held.
func (us *users) quota(u *user) Quota {
	q := Quota{User: u.name, Used: max(0, u.own.Load()+u.others.Load()), Quota: u.quota.Load(), Spent: u.isSpent(), Resets: us.ends}
	if q.User == "" {
		q.User = nameless
	}
	return q
}
