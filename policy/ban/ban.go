package ban

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/nft"
	"github.com/umbra-proxy/umbra/policy/store"
)

// Policy is the gate.
type Policy struct {
	env   core.Env
	rules *rules
	table *table // of the process, so that it outlives a reload; nil until served
	link  *link  // likewise, to a store
}

var (
	_ core.Gate   = (*Policy)(nil)
	_ core.Runner = (*Policy)(nil)
)

// sweepEvery is how often it is looked for bans that have ended.
const sweepEvery = time.Second

// link is a store with what carries bans there and back.
type link struct {
	set    shared
	store  store.Store // nil for memory
	mirror *store.Mirror
}

// New returns the policy. Its errors name the key to mend.
func New(env core.Env, o Options) (core.Policy, error) {
	weights, err := o.check()
	if err != nil {
		return nil, err
	}
	p := &Policy{env: env, rules: &rules{o, weights}}
	s, err := o.Store.Open(env.Log)
	if err != nil {
		return nil, &core.OptionError{Key: "store", Err: err}
	}
	fresh := false // a table that is not has all that a file could tell
	core.Keep(env, func(old *table) *table {
		if fresh = old == nil; fresh {
			old = newTable(p.rules, env.Log)
		}
		p.table = old
		return old
	})
	core.Keep(env, func(old *links) *links {
		if old == nil {
			old = &links{}
		}
		if p.link = (*old)[o.Store]; p.link == nil {
			p.link = newLink(env, s, p.table)
			(*old)[o.Store] = p.link
		} else if s != nil {
			_ = s.Close() // it was not used
		}
		if fresh {
			p.link.load()
		}
		return old
	})
	return p, nil
}

// links are those that a policy has had: one that a reload comes back to may still
// work for the connections of an older file.
type links map[store.Place]*link

// newLink returns the link of a table to a store, nil for memory.
func newLink(env core.Env, s store.Store, t *table) *link {
	l := &link{set: shared{t, "ban/" + env.Name + "/"}, store: s}
	if s != nil {
		l.mirror = store.NewMirror(s, l.set.prefix, l.set, env.Log)
	}
	return l
}

// load takes in what a file has, so that it is known before anything is served.
func (l *link) load() {
	if f, ok := l.store.(*store.File); ok {
		_ = f.Load(context.Background(), l.set.prefix, l.set.Merge) // which can't fail
	}
}

// Run tells of bans that end, and carries them to the store and back.
func (p *Policy) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	p.table.configure(p.rules, p.tell())
	running.Go(func() { p.link.mirror.Run(ctx) })
	if p.rules.Kernel {
		running.Go(func() { p.runKernel(ctx) })
	}
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			p.table.sweep(now)
		}
	}
}

// runKernel has the kernel follow the table. After a reload the new policy waits
// until the old one has taken its rules away.
func (p *Policy) runKernel(ctx context.Context) {
	select {
	case p.table.inKernel <- struct{}{}:
		defer func() { <-p.table.inKernel }()
	case <-ctx.Done():
		return
	}
	name := p.rules.KernelTable
	if name == "" {
		name = "umbra_" + p.env.Name
	}
	ports := func() []uint16 { return netio.SocketsOf(p.env.Process).Ports() }
	open := func() (firewall, error) {
		return nft.Open(nft.Options{Name: name, Bits4: p.rules.PrefixV4, Bits6: p.rules.PrefixV6, Scope: nft.NewConnections})
	}
	newKernel(p.table, ports, open).run(ctx, p.env.Log)
}

// tell returns what passes a change on.
func (p *Policy) tell() func(Ban) {
	l := p.link
	if l.mirror == nil {
		return func(Ban) {}
	}
	return func(b Ban) { l.mirror.Put(l.set.entry(b)) }
}

// Admit refuses a client that is banned.
func (p *Policy) Admit(c core.Client) error {
	ip := c.Addr.Addr()
	if !ip.IsValid() || p.rules.exempts(ip) {
		return nil
	}
	b, banned := p.table.banned(ip, time.Now())
	if !banned || p.rules.Mode == "observe" {
		return nil
	}
	return &core.Refusal{Err: fmt.Errorf("%s is banned until %s", name(b.Addr), b.Until.UTC().Format(time.RFC3339)), End: p.rules.Action.end}
}

// Observe counts failures, and lets whoever was served have a fresh start.
func (p *Policy) Observe(e core.Event) {
	ip := e.Client.Addr.Addr()
	switch why, counts := reasonOf(e); {
	case !ip.IsValid():
	case counts:
		p.table.failed(ip, why, time.Now())
	case isProof(e):
		p.table.succeeded(ip, time.Now())
	}
}
