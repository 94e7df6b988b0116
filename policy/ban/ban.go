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

// Policy is a gate that refuses banned clients.
type Policy struct {
	env   core.Env
	rules *rules
	table *table // belongs to the process and outlives a reload; nil until served
	link  *link  // likewise; connects the table to a store
}

var (
	_ core.Gate   = (*Policy)(nil)
	_ core.Runner = (*Policy)(nil)
)

// sweepEvery is the interval between scans for expired bans.
const sweepEvery = time.Second

// link is a store with the mirror that copies bans to it and back.
type link struct {
	set    shared
	store  store.Store // nil for memory
	mirror *store.Mirror
}

// New returns the policy. Its errors name the option to correct.
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
	fresh := false // an older table already contains the entries of the file
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
			_ = s.Close() // the older link's store stays in use
		}
		if fresh {
			p.link.load()
		}
		return old
	})
	return p, nil
}

// links are all links that a policy has had: a reload may return to the store of an
// older generation, whose connections still use the link.
type links map[store.Place]*link

// newLink returns the link of a table to s, which is nil for memory.
func newLink(env core.Env, s store.Store, t *table) *link {
	l := &link{set: shared{t, "ban/" + env.Name + "/"}, store: s}
	if s != nil {
		l.mirror = store.NewMirror(s, l.set.prefix, l.set, env.Log)
	}
	return l
}

// load merges the bans of a file, so that they hold before any client is served.
func (l *link) load() {
	if f, ok := l.store.(*store.File); ok {
		_ = f.Load(context.Background(), l.set.prefix, l.set.Merge) // a File's Load can't fail
	}
}

// Run logs bans that end, and copies bans to the store and back.
func (p *Policy) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	p.table.configure(p.rules, p.notify())
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

// runKernel copies bans to the kernel. After a reload the new policy waits until the
// old one has removed its rules.
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

// notify returns the function that sends a changed ban to the store.
func (p *Policy) notify() func(Ban) {
	l := p.link
	if l.mirror == nil {
		return func(Ban) {}
	}
	return func(b Ban) { l.mirror.Put(l.set.entry(b)) }
}

// Admit refuses a banned client.
func (p *Policy) Admit(c core.Client) error {
	ip := c.Addr.Addr()
	if !ip.IsValid() || p.rules.exempts(ip) {
		return nil
	}
	b, banned := p.table.banned(ip, time.Now())
	if !banned || p.rules.Mode == "observe" {
		return nil
	}
	p.table.refused.Add(1)
	return &core.Refusal{Err: fmt.Errorf("%s is banned until %s", name(b.Addr), b.Until.UTC().Format(time.RFC3339)), End: p.rules.Action.end}
}

// Observe counts the failures of clients, and clears them when a client is served.
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
