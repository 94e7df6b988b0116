package pipeline

import (
	"context"
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// cut cuts the connections that match and returns how many there were.
func (l *liveSet) cut(match func(connection) bool, cause error) int {
	all := l.all(match)
	var cuts sync.WaitGroup // side by side: some ends take a moment
	for _, c := range all {
		cuts.Go(func() { c.flow().Cut(cause) })
	}
	cuts.Wait()
	return len(all)
}

// drain refuses what is new and waits until what runs has ended, or until the
// context of streams ends; then it cuts the rest and returns how many there were.
// Associations are cut when the context of associations ends: they have no end
// of their own that is worth a wait.
func (l *liveSet) drain(associations, streams context.Context) int {
	l.mu.Lock()
	l.draining = true
	if l.size() == 0 {
		l.mu.Unlock()
		return 0
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.mu.Unlock()
	defer context.AfterFunc(associations, func() {
		l.cut(func(c connection) bool { return c.network() == core.UDP }, core.ErrShutdown)
	})()
	select {
	case <-empty:
		return 0
	case <-streams.Done():
	}
	n := l.cut(func(connection) bool { return true }, core.ErrShutdown)
	<-empty
	return n
}
