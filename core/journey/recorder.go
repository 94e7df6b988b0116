// Package journey remembers the last connections of each pipeline, with each step on their
// way and its time.
package journey

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/tally"
)

// How many connections of a pipeline are remembered: 256 in all. Strangers have a share of
// their own, so that a flood of them drives out nothing else.
const (
	maxStrangers = 64 // refused by a gate, or without a request
	maxFailed    = 96 // with a request
	maxSlow      = 32 // the slowest of the last while
	maxOthers    = 64
)

const (
	slowFor  = 10 * time.Minute       // how long one of the slowest is remembered
	otherGap = 100 * time.Millisecond // the least time between two others that are remembered
)

// Recorder is a core.StepObserver that remembers connections while it is switched on.
type Recorder struct {
	on     atomic.Bool
	number atomic.Uint64

	mu        sync.Mutex
	pipelines map[string]*memory // guarded by mu, as all that follows
	readers   map[*Reader]bool
}

// NewRecorder returns a Recorder that is switched off.
func NewRecorder() *Recorder {
	return &Recorder{pipelines: map[string]*memory{}, readers: map[*Reader]bool{}}
}

var _ core.StepObserver = (*Recorder)(nil)

// Switch switches the recorder on or off. Off, it forgets everything.
func (r *Recorder) Switch(on bool) {
	r.on.Store(on)
	if !on {
		r.mu.Lock()
		defer r.mu.Unlock()
		clear(r.pipelines)
	}
}

// WantsSteps implements core.StepObserver.
func (r *Recorder) WantsSteps() bool { return r.on.Load() }

// Observe remembers a connection that has ended.
func (r *Recorder) Observe(e core.Event) {
	if !e.Kind.Ends() || !r.on.Load() {
		return
	}
	result, wait := tally.ResultOf(e), waitOf(e.Stages)
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.pipelines[e.Pipeline]
	if m == nil {
		m = new(memory)
		r.pipelines[e.Pipeline] = m
	}
	keep := m.place(e, result, wait)
	if keep == nil && len(r.readers) == 0 {
		return
	}
	rec := recordOf(e, result)
	rec.Number, rec.wait = r.number.Add(1), wait
	if keep != nil {
		keep(rec)
	}
	for reader := range r.readers {
		reader.add(rec)
	}
}

// Records returns those with a number above after that match, in the order of their
// numbers: the last ones if there are more than limit.
func (r *Recorder) Records(f Filter, after uint64, limit int) []*Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*Record
	for _, m := range r.pipelines {
		m.each(func(rec *Record) {
			if rec.Number > after && f.Matches(rec) {
				all = append(all, rec)
			}
		})
	}
	slices.SortFunc(all, func(a, b *Record) int { return cmp.Compare(a.Number, b.Number) })
	return all[max(0, len(all)-limit):]
}

// memory is what is remembered of a pipeline.
type memory struct {
	strangers, failed, others ring
	slow                      slowest
	lastOther                 time.Time
}

// place returns what remembers the record of an event, or nil: it is like most others.
func (m *memory) place(e core.Event, result string, wait time.Duration) func(*Record) {
	switch now := e.Stages.Ended; {
	case e.Request == nil:
		return m.strangers.add(maxStrangers)
	case result != tally.OK:
		return m.failed.add(maxFailed)
	case m.slow.wants(wait, now):
		return m.slow.add
	case now.Sub(m.lastOther) >= otherGap:
		m.lastOther = now
		return m.others.add(maxOthers)
	}
	return nil
}

func (m *memory) each(f func(*Record)) {
	for _, some := range [][]*Record{m.strangers.all, m.failed.all, m.others.all, m.slow.all} {
		for _, r := range some {
			f(r)
		}
	}
}

// ring has the last records.
type ring struct {
	all  []*Record
	next int // that the next one takes the place of, once it is full
}

// add returns what adds a record to at most that many.
func (r *ring) add(most int) func(*Record) {
	return func(rec *Record) {
		if len(r.all) < most {
			r.all = append(r.all, rec)
			return
		}
		r.all[r.next] = rec
		r.next = (r.next + 1) % most
	}
}

// slowest has the records whose clients waited longest, as a heap with the shortest wait
// first.
type slowest struct {
	all   []*Record
	swept time.Time
}

// wants reports whether a connection is one of the slowest.
func (s *slowest) wants(wait time.Duration, now time.Time) bool {
	if now.Sub(s.swept) >= time.Second {
		s.swept = now
		s.all = slices.DeleteFunc(s.all, func(old *Record) bool { return now.Sub(old.Stages.Ended) > slowFor })
		heap.Init(s)
	}
	return wait > 0 && (len(s.all) < maxSlow || wait > s.all[0].wait)
}

// add remembers a record that is wanted.
func (s *slowest) add(r *Record) {
	if len(s.all) < maxSlow {
		heap.Push(s, r)
		return
	}
	s.all[0] = r
	heap.Fix(s, 0)
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (s *slowest) Len() int           { return len(s.all) }
func (s *slowest) Less(i, j int) bool { return s.all[i].wait < s.all[j].wait }
func (s *slowest) Swap(i, j int)      { s.all[i], s.all[j] = s.all[j], s.all[i] }
func (s *slowest) Push(r any)         { s.all = append(s.all, r.(*Record)) }
func (s *slowest) Pop() any {
	last := s.all[len(s.all)-1]
	s.all = s.all[:len(s.all)-1]
	return last
}
