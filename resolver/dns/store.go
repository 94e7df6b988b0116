package dns

import (
	"hash/maphash"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// store is a bounded cache of entries. Entries that were looked up again are kept in a
// separate part, so a flood of names that are looked up once does not evict them.
type store struct {
	of     string // the options that determine the answers, see answersDependOn
	seed   maphash.Seed
	shards []shard
}

const (
	shardCount = 16   // so that processors don't contend for one lock
	fewEntries = 1024 // with fewer entries there is one shard, whose bound is exact
)

// newStore returns an empty store for answers that depend on of.
func newStore(of string, entries, bytes int) *store {
	n := shardCount
	if entries < fewEntries {
		n = 1
	}
	s := &store{of: of, seed: maphash.MakeSeed(), shards: make([]shard, n)}
	for i := range s.shards {
		s.shards[i].fresh = newList()
		s.shards[i].proven = newList()
	}
	s.limit(entries, bytes)
	return s
}

// limit sets the bounds of all shards together.
func (s *store) limit(entries, bytes int) {
	n := len(s.shards)
	for i := range s.shards {
		s.shards[i].limit(max(1, entries/n), bytes/n)
	}
}

// get returns the entry for q, even if it has expired, or nil.
func (s *store) get(q question) *entry { return s.shard(q).get(q) }

// put stores e, and replaces the entry of the same question.
func (s *store) put(e *entry) { s.shard(e.question).put(e) }

// drop removes the entry of q.
func (s *store) drop(q question) { s.shard(q).drop(q) }

// size returns the number of entries and their size in bytes.
func (s *store) size() (entries, bytes int) {
	for i := range s.shards {
		n, b := s.shards[i].size()
		entries, bytes = entries+n, bytes+b
	}
	return entries, bytes
}

func (s *store) shard(q question) *shard {
	if len(s.shards) == 1 {
		return &s.shards[0]
	}
	return &s.shards[maphash.String(s.seed, q.name)%uint64(len(s.shards))]
}

// list holds entries in the order of their last use.
type list = simplelru.LRU[question, *entry]

// newList returns a list without a bound; its shard limits it.
func newList() *list {
	l, err := simplelru.NewLRU[question, *entry](math.MaxInt, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return l
}

// shard is a part of a store.
type shard struct {
	mu      sync.Mutex
	fresh   *list // entries looked up once; guarded by mu, as all that follows
	proven  *list // the other entries, at most four fifths
	bytes   int
	entries int // the maximum number of entries
	maximum int // the maximum of bytes
}

func (s *shard) limit(entries, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries, s.maximum = entries, bytes
	s.shrink()
}

func (s *shard) get(q question) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.proven.Get(q); ok {
		return e
	}
	e, ok := s.fresh.Peek(q)
	if !ok {
		return nil
	}
	s.fresh.Remove(q)
	s.proven.Add(q, e)
	if s.proven.Len() > max(1, s.entries/5*4) {
		if old, demoted, ok := s.proven.RemoveOldest(); ok {
			s.fresh.Add(old, demoted)
		}
	}
	return e
}

func (s *shard) put(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	into := s.fresh
	old, known := s.proven.Peek(e.question)
	if known {
		into = s.proven
	} else {
		old, known = s.fresh.Peek(e.question)
	}
	if known {
		s.bytes -= old.size()
	}
	s.bytes += e.size()
	into.Add(e.question, e)
	s.shrink()
}

func (s *shard) drop(q question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range [...]*list{s.fresh, s.proven} {
		if e, ok := l.Peek(q); ok {
			s.bytes -= e.size()
			l.Remove(q)
		}
	}
}

// shrink removes entries until the shard is within its bounds. mu is held.
func (s *shard) shrink() {
	for s.fresh.Len()+s.proven.Len() > s.entries || s.bytes > s.maximum {
		from := s.fresh
		if from.Len() == 0 {
			from = s.proven
		}
		_, e, ok := from.RemoveOldest()
		if !ok {
			return
		}
		s.bytes -= e.size()
	}
}

func (s *shard) size() (entries, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fresh.Len() + s.proven.Len(), s.bytes
}
