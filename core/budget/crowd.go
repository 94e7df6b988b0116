package budget

import "time"

const (
	// silentFor is how long a stranger may be silent before another one of its source may
	// take its place: longer than a round trip.
	silentFor = time.Second
	// stalledFor is how long a stranger that has begun its request may take over it before
	// another one may take its place.
	stalledFor = 5 * time.Second
)

// class is how far a stranger has come. It does not depend on what the stranger has sent,
// or on whether that was valid: whoever fills a bound sees which of its connections make
// room, and must not learn by that what a server makes of them.
type class uint8

const (
	silent  class = iota // it has sent nothing yet
	started              // it has sent bytes, valid or not
	classes
)

// The crowds that a stranger belongs to.
const (
	inProcess = iota
	inInbound
	inSource
	scopes
)

// crowd is a set of strangers: a queue for each class, the longest in it first.
type crowd struct {
	queues [classes]queue
	scope  uint8 // which link of its members is this crowd's
}

func newCrowd(scope uint8) crowd { return crowd{scope: scope} }

func (c *crowd) len() int {
	n := 0
	for i := range c.queues {
		n += c.queues[i].n
	}
	return n
}

func (c *crowd) add(s *Stranger)    { c.queues[s.class].add(c.scope, s) }
func (c *crowd) remove(s *Stranger) { c.queues[s.class].remove(c.scope, s) }

// victim returns the stranger that makes room for a new one: one that is silent, else one
// that has begun long ago. It returns nil if there is none: then the new one must go. Of
// one source only those count that were silent for long: in a burst of clients that are on
// their way each would otherwise drive out another, and none would be served.
func (c *crowd) victim(now time.Time) *Stranger {
	if s := c.queues[silent].first; s != nil && (c.scope != inSource || now.Sub(s.since) >= silentFor) {
		return s
	}
	if s := c.queues[started].first; s != nil && now.Sub(s.since) >= stalledFor {
		return s
	}
	return nil
}

// oldest returns the victim, or the stranger that is nearest to being it; nil if there
// is none at all.
func (c *crowd) oldest() *Stranger {
	for _, class := range [...]class{silent, started} {
		if s := c.queues[class].first; s != nil {
			return s
		}
	}
	return nil
}

// queue is a doubly linked list through the links of one scope.
type queue struct {
	first, last *Stranger
	n           int
}

// link is the place of a stranger in one queue.
type link struct{ prev, next *Stranger }

func (q *queue) add(scope uint8, s *Stranger) {
	s.links[scope] = link{prev: q.last}
	if q.last == nil {
		q.first = s
	} else {
		q.last.links[scope].next = s
	}
	q.last = s
	q.n++
}

func (q *queue) remove(scope uint8, s *Stranger) {
	at := s.links[scope]
	if at.prev == nil {
		q.first = at.next
	} else {
		at.prev.links[scope].next = at.next
	}
	if at.next == nil {
		q.last = at.prev
	} else {
		at.next.links[scope].prev = at.prev
	}
	s.links[scope] = link{}
	q.n--
}
