package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/policy/store"
)

// changes collects the entries that a Watch has reported.
type changes struct {
	t    testing.TB
	came chan struct{} // has room for all that a test puts
	stop context.CancelFunc
	done chan struct{} // closed when Watch has returned
	err  error         // what it returned; valid after done

	mu    sync.Mutex
	known map[string]store.Entry // guarded by mu; the youngest of each key
}

// watch watches from the other handle, and returns when nothing is missed any more.
func (k *kit) watch(prefix string) *changes {
	k.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &changes{t: k, came: make(chan struct{}, 1<<12), stop: cancel, done: make(chan struct{}), known: map[string]store.Entry{}}
	ready := make(chan struct{})
	go func() {
		defer close(c.done)
		c.err = k.there.Watch(ctx, prefix, func() { close(ready) }, c.add)
	}()
	k.Cleanup(func() { cancel(); <-c.done })
	select {
	case <-ready:
	case <-c.done:
		k.Fatalf("watch: %v", c.err)
	}
	return c
}

func (c *changes) add(e store.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Value = append([]byte(nil), e.Value...)
	if old, ok := c.known[e.Key]; !ok || e.Newer(old) {
		c.known[e.Key] = e
	}
	c.came <- struct{}{}
}

func (c *changes) all() map[string]store.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.known)
}

// has checks that exactly these came.
func (c *changes) has(want ...store.Entry) {
	c.t.Helper()
	got := c.all()
	if len(got) != len(want) {
		c.t.Errorf("got changes of %d keys, want %d", len(got), len(want))
	}
	for _, e := range want {
		if !same(got[e.Key], e) {
			c.t.Errorf("got the change %+v, want %+v", got[e.Key], e)
		}
	}
}

func watch(t *testing.T, k *kit) {
	k.put(k.here, k.entry("w/before", "1", 1), k.entry("other", "1", 1))
	if !k.shared() {
		k.watch("w/") // is ready, and ends
		return
	}
	c := k.watch("w/")
	var want []store.Entry
	for i := range 100 {
		e := k.entry(fmt.Sprintf("w/%d", i), "", i+1)
		if i%2 == 0 {
			e.Value = []byte("x")
		}
		want = append(want, e)
		k.put(k.here, e, k.entry(fmt.Sprintf("other/%d", i), "x", 1))
	}
	k.put(k.here, want[0]) // which is known
	for range want {
		<-c.came
	}
	c.has(want...)
	c.stop()
	<-c.done
	k.put(k.here, k.entry("w/after", "1", 1))
	c.has(want...)
}

func watchEnds(t *testing.T, k *kit) {
	c := k.watch("")
	c.stop()
	<-c.done
	if !errors.Is(c.err, context.Canceled) {
		t.Errorf("watch: got %v, want %v", c.err, context.Canceled)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.here.Run(ctx)
	}()
	<-done
	if err := k.here.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
