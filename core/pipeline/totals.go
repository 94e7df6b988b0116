package pipeline

import (
	"maps"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Totals are the connections of a pipeline and the bytes that they moved: of those that are
// being served, and of those that have ended.
type Totals struct {
	Streams, Associations Sum
	Users                 map[string]Sum // by name, if they are wanted and counted; "" for connections without a user
}

// Sum is a number of connections and what they moved.
type Sum struct {
	Live     int   // connections that are being served
	Up, Down int64 // bytes
	Seen     time.Time
}

// Add adds other totals.
func (t *Totals) Add(o Totals) {
	t.Streams.Add(o.Streams)
	t.Associations.Add(o.Associations)
	if t.Users == nil && o.Users != nil {
		t.Users = map[string]Sum{}
	}
	for name, u := range o.Users {
		addTo(t.Users, name, u)
	}
}

// Add adds another sum.
func (s *Sum) Add(o Sum) {
	s.Live += o.Live
	s.Up += o.Up
	s.Down += o.Down
	if o.Seen.After(s.Seen) {
		s.Seen = o.Seen
	}
}

// of returns the sum for connections over n.
func (t *Totals) of(n core.Network) *Sum {
	if n == core.UDP {
		return &t.Associations
	}
	return &t.Streams
}

// Totals returns those of the pipeline, with its users if they are wanted and Config.Users
// says that they are counted. A connection that ends meanwhile is counted once.
func (p *Pipeline) Totals(users bool) Totals {
	return p.live.totals(users, p.cfg.Users != nil && p.cfg.Users())
}

// totals returns the totals, with users if they are wanted: those of ended connections, and
// of running ones if they are counted now.
func (l *liveSet) totals(wanted, counted bool) Totals {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.gone
	if !wanted {
		t.Users = nil
	}
	if t.Users = maps.Clone(t.Users); wanted && counted && t.Users == nil {
		t.Users = map[string]Sum{}
	}
	for _, part := range []map[connection]struct{}{l.streams, l.associations} {
		for c := range part {
			f := c.flow()
			one := Sum{Live: 1, Up: f.Up.Load(), Down: f.Down.Load(), Seen: now}
			t.of(c.network()).Add(one)
			if wanted && counted {
				addTo(t.Users, c.user(), one)
			}
		}
	}
	return t
}

// add counts a connection that has left. mu is held.
func (l *liveSet) add(c connection) {
	f := c.flow()
	one := Sum{Up: f.Up.Load(), Down: f.Down.Load()}
	l.gone.of(c.network()).Add(one)
	for _, id := range f.Chosen() {
		if l.through == nil {
			l.through = map[string]Sum{}
		}
		addTo(l.through, id, one)
	}
	if l.users == nil || !l.users() {
		return
	}
	if l.gone.Users == nil {
		l.gone.Users = map[string]Sum{}
	}
	one.Seen = time.Now()
	addTo(l.gone.Users, c.user(), one)
}

// Outbounds adds to sums, by the ID of each outbound and branch, what goes and went through
// it. A connection that ends meanwhile is counted once.
func (p *Pipeline) Outbounds(sums map[string]Sum) {
	l := p.live
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.gone.Streams
	all.Add(l.gone.Associations)
	for id, sum := range l.through {
		addTo(sums, id, sum)
	}
	for _, part := range []map[connection]struct{}{l.streams, l.associations} {
		for c := range part {
			f := c.flow()
			one := Sum{Live: 1, Up: f.Up.Load(), Down: f.Down.Load()}
			all.Add(one)
			for _, id := range f.Chosen() {
				addTo(sums, id, one)
			}
		}
	}
	for _, id := range p.cfg.Path { // every connection goes through these
		addTo(sums, id, all)
	}
}

func addTo(sums map[string]Sum, id string, one Sum) {
	sum := sums[id]
	sum.Add(one)
	sums[id] = sum
}
