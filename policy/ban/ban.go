package ban

import (
	"context"
	"fmt"
	"maps"
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
	table *table // of the process, so that it outlives a reload
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
	p.table, err = core.Keep(env, func(old *table) (*table, error) {
		if old == nil {
			old = newTable(p.rules, env.Log)
		}
		return old, nil
	})
	if err != nil {
		return nil, err
	}
	fresh := p.table.isFresh() // else a file has nothing to tell that is not known, or not served yet
	if p.link, err = linkTo(env, o.Store, p.table); err == nil && fresh {
		err = p.link.load()
	}
	return p, err
}

// links are those that a policy has had: one that a reload comes back to may still
// work for the connections of an older file.
type links map[store.Place]*link

// linkTo returns the link to a store. It reaches no server.
func linkTo(env core.Env, place store.Place, t *table) (l *link, err error) {
	_, err = core.Keep(env, func(old *links) (*links, error) {
		kept := links{}
		if old != nil {
			maps.Copy(kept, *old)
		}
		if l = kept[place]; l != nil {
			return &kept, nil
		}
		s, err := place.Open(env.Log)
		if err != nil {
			return nil, &core.OptionError{Key: "store", Err: err}
		}
		set := shared{t, "ban/" + env.Name + "/"}
		if l = (&link{set: set, store: s}); s != nil {
			l.mirror = store.NewMirror(s, set.prefix, set, env.Log)
		}
		kept[place] = l
		return &kept, nil
	})
	return l, err
}

// load takes in what a file has, so that it is known before anything is served.
func (l *link) load() error {
	if f, ok := l.store.(*store.File); ok {
		return f.Load(context.Background(), l.set.prefix, l.set.Merge)
	}
	return nil
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
