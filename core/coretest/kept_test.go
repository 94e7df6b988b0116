package coretest_test

import (
	"container/list"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// state has one of everything.
type state struct {
	_      sync.RWMutex // which is not kept state
	n      int
	word   string
	count  atomic.Int64
	next   atomic.Pointer[state]
	self   *state
	all    map[netip.Addr]*state
	any    any
	bytes  []byte
	list   *list.List
	at     time.Time
	change func()
	room   chan int
	env    *component
}

type component struct {
	core.Env
	n int
}

func TestKept(t *testing.T) {
	env := coretest.Env(t)
	s := &state{all: map[netip.Addr]*state{}, any: new(int), bytes: []byte{1}, list: list.New(), room: make(chan int, 1), env: &component{Env: env}}
	s.self = s
	core.Keep(env, func(*state) *state { return s })
	one := netip.MustParseAddr("192.0.2.1")
	before := coretest.Kept(env.Process)
	if len(before) != 1 || !maps.Equal(before, coretest.Kept(env.Process)) {
		t.Fatalf("two descriptions differ, or there is not one state: %v", before)
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"a number", func() { s.n++ }},
		{"a word", func() { s.word = "x" }},
		{"an atomic number", func() { s.count.Add(1) }},
		{"an atomic pointer", func() { s.next.Store(new(state)) }},
		{"behind it", func() { s.next.Load().n++ }},
		{"an entry", func() { s.all[one] = new(state) }},
		{"in the entry", func() { s.all[one].n++ }},
		{"another entry of the same content", func() { s.all[one] = &state{n: 1} }},
		{"behind an interface", func() { *s.any.(*int)++ }},
		{"a byte", func() { s.bytes[0]++ }},
		{"an element", func() { s.list.PushBack(1) }},
		{"a time", func() { s.at = s.at.Add(1) }},
		{"a function", func() { s.change = func() {} }},
		{"in a channel", func() { s.room <- 1 }},
		{"another component", func() { s.env = new(component) }},
	} {
		step.do()
		after := coretest.Kept(env.Process)
		if maps.Equal(before, after) {
			t.Errorf("%s: the description did not change", step.name)
		}
		before = after
	}
	if s.env.n++; !maps.Equal(before, coretest.Kept(env.Process)) {
		t.Error("a component is described")
	}
}
