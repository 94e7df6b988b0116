package store

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// compareEvery is the interval between comparisons of set and store while no error
// occurs.
const compareEvery = time.Hour

// session copies changes in both directions until an error occurs. It calls synced
// once set and store are equal.
func (m *Mirror) session(ctx context.Context, synced func()) error {
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
	if err := m.reconcile(ctx); err != nil {
		return err
	}
	synced()
	ticker := time.NewTicker(compareEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-failed:
			return orEnded(err)
		case <-ticker.C:
			if err := m.reconcile(ctx); err != nil {
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

// flush sends the queued changes, or compares both sides if changes were lost.
func (m *Mirror) flush(ctx context.Context) error {
	queue, compare := m.drain()
	if compare {
		return m.reconcile(ctx)
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
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sending = time.Time{}
	return nil
}

// failed schedules a comparison before anything else is sent, because the entries
// that were not sent are no longer in the queue. It returns err.
func (m *Mirror) failed(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropQueue()
	return err
}

func (m *Mirror) put(ctx context.Context, e Entry) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return core.NoAnswer(m.store.Put(ctx, e), callTimeout)
}

// reconcile copies to each side the entries that are missing or older there.
func (m *Mirror) reconcile(ctx context.Context) error {
	m.drain() // the set contains every queued entry
	at := map[string]time.Time{}
	err := m.store.Load(ctx, m.prefix, func(e Entry) {
		at[e.Key] = e.At
		m.set.Merge(e)
	})
	if err != nil {
		return m.failed(err)
	}
	var lacks []Entry // collected first: the set may hold a lock while it iterates
	for e := range m.set.All() {
		if known, ok := at[e.Key]; !ok || e.At.After(known) {
			lacks = append(lacks, e)
		}
	}
	return m.send(ctx, slices.Values(lacks))
}
