package store

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"
)

// compareEvery is how often both sides are compared while nothing is amiss.
const compareEvery = time.Hour

// session carries changes until something fails. back is called when both sides
// are alike.
func (m *Mirror) session(ctx context.Context, back func()) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	ready, failed := make(chan struct{}), make(chan error, 1)
	running.Go(func() {
		failed <- m.store.Watch(ctx, m.prefix, sync.OnceFunc(func() { close(ready) }), m.set.Merge)
	})
	select {
	case <-ready:
	case err := <-failed:
		return orEnded(err)
	case <-time.After(callTimeout):
		return errors.New("the store does not answer")
	}
	if err := m.equal(ctx); err != nil {
		return err
	}
	back()
	ticker := time.NewTicker(compareEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-failed:
			return orEnded(err)
		case <-ticker.C:
			if err := m.equal(ctx); err != nil {
				return err
			}
		case <-m.wake:
			if err := m.flush(ctx); err != nil {
				return err
			}
		}
	}
}

func orEnded(err error) error {
	if err == nil {
		err = errors.New("the store's watch ended")
	}
	return err
}

// flush sends what has changed.
func (m *Mirror) flush(ctx context.Context) error {
	queue, compare := m.take()
	if compare {
		return m.equal(ctx)
	}
	return m.send(ctx, maps.Values(queue))
}

// send puts entries into the store.
func (m *Mirror) send(ctx context.Context, all iter.Seq[Entry]) error {
	for e := range all {
		if err := m.put(ctx, e); err != nil {
			return m.failed(err)
		}
	}
	return nil
}

// failed has the sides compared before anything else is sent: what was to be sent is
// not in the queue any more.
func (m *Mirror) failed(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missed()
	return err
}

func (m *Mirror) put(ctx context.Context, e Entry) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.store.Put(ctx, e)
}

// equal gives each side what it lacks.
func (m *Mirror) equal(ctx context.Context) error {
	m.take() // the set has it
	at := map[string]time.Time{}
	err := m.store.Load(ctx, m.prefix, func(e Entry) {
		at[e.Key] = e.At
		m.set.Merge(e)
	})
	if err != nil {
		return m.failed(err)
	}
	var lacks []Entry // the set may be locked while it tells
	for e := range m.set.All() {
		if known, ok := at[e.Key]; !ok || e.At.After(known) {
			lacks = append(lacks, e)
		}
	}
	return m.send(ctx, slices.Values(lacks))
}
