package limit

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/policy/store"
)

// A reset holds on all nodes, in whatever order entries arrive and however often, and ends
// with the period.
func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{QuotaPerUser: option.Size(100), QuotaResetDay: 1}
		a, _ := fresh(o, "a")
		b, _ := fresh(o, "b")
		take := func(us *users, n int) error {
			m := &meter{users: us}
			us.mu.Lock()
			m.user = us.user("alice", time.Now())
			us.mu.Unlock()
			_, err := m.Take(n, 0)
			return err
		}
		exchange := func() {
			for range 2 { // entries may come again
				for _, us := range []*users{a, b} {
					us.tick(time.Now(), func(store.Entry) {})
				}
				for e := range (usage{a}).All() {
					usage{b}.Merge(e)
				}
				for e := range (usage{b}).All() {
					usage{a}.Merge(e)
				}
			}
		}
		_ = take(a, 60)
		exchange()
		if err := take(b, 60); err == nil {
			t.Error("120 bytes of 100 are taken")
		}
		exchange()
		p := &Policy{options: o, users: a}
		a.link.Store(&link{})
		answer, err := p.Command(t.Context(), []string{"quota", "show", "alice"})
		if q, ok := answer.(Quota); err != nil || !ok || q.Used != 120 || !q.Spent {
			t.Errorf("got %+v, %v, want 120 bytes, spent", answer, err)
		}
		if answer, err = p.Command(t.Context(), []string{"quota", "reset", "alice"}); err != nil || !strings.HasPrefix(fmt.Sprint(answer), "alice begins anew") {
			t.Errorf("got %v, %v", answer, err)
		}
		exchange()
		if a.used("alice") != 0 || b.used("alice") != 0 {
			t.Errorf("after the reset: got %d and %d bytes used, want 0", a.used("alice"), b.used("alice"))
		}
		if err := take(b, 99); err != nil {
			t.Errorf("after the reset: %v", err)
		}
		exchange()
		if a.used("alice") != 99 {
			t.Errorf("got %d bytes used, want 99", a.used("alice"))
		}
		list, err := p.Command(t.Context(), []string{"quota", "list"})
		if text := fmt.Sprint(list); err != nil || !strings.Contains(text, "alice  99B") {
			t.Errorf("got %s, %v", text, err)
		}
		time.Sleep(32 * 24 * time.Hour)
		exchange()
		if a.used("alice") != 0 || b.used("alice") != 0 {
			t.Errorf("in the next month: got %d and %d bytes used, want 0", a.used("alice"), b.used("alice"))
		}
		for _, words := range [][]string{nil, {"quota"}, {"quota", "show"}, {"quota", "show", "nobody"}, {"list"}} {
			if _, err := p.Command(t.Context(), words); err == nil {
				t.Errorf("%q: got no error", words)
			}
		}
	})
}

// A reset survives a restart with a file.
func TestResetFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota")
	start := func(do func(p *Policy)) {
		o := Options{QuotaPerUser: option.Size(100), QuotaResetDay: 1, MaxClients: 10, UDPIdle: option.Off}
		if err := o.Store.UnmarshalText([]byte("file:" + path)); err != nil {
			t.Fatal(err)
		}
		made, err := New(core.Env{Section: core.SectionPolicy, Name: "limit", Process: new(core.Process), Log: slog.New(slog.DiscardHandler)}, o)
		if err != nil {
			t.Fatal(err)
		}
		p := made.(*Policy)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		p.users.link.Store(p.link)
		go func() { defer close(ended); p.Run(ctx) }()
		do(p)
		stop()
		<-ended
	}
	start(func(p *Policy) {
		f, m := open(t, p.users, "alice")
		_, _ = m.Take(120, 0)
		p.users.leave(f)
		if _, err := p.Command(t.Context(), []string{"quota", "reset", "alice"}); err != nil {
			t.Fatal(err)
		}
		f, m = open(t, p.users, "alice")
		_, _ = m.Take(7, 0)
		p.users.leave(f)
	})
	start(func(p *Policy) {
		if got := p.users.used("alice"); got != 7 {
			t.Errorf("after a restart: got %d bytes used, want 7", got)
		}
	})
}
