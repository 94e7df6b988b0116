package pipeline

import (
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/panics"
)

// tellDrops tells the observers of the datagrams that the association has dropped since
// the last call. The sweep calls it, so that an association which lasts for days tells
// in time.
func (a *association) tellDrops() {
	ds := a.request.Flow.TakeDropped()
	if len(ds) == 0 {
		return
	}
	a.mu.Lock()
	from := a.from
	a.mu.Unlock()
	for _, o := range a.pipeline.cfg.Observers {
		o, ok := o.(core.DropObserver)
		if !ok {
			continue
		}
		err := panics.Call(func() error {
			o.ObserveDrops(core.Drops{Pipeline: a.pipeline.cfg.Name, Client: from, Path: a.pipeline.pathOf(a.request.Flow), Dropped: ds})
			return nil
		})
		panics.Log(a.pipeline.cfg.Log, "observer panicked", err)
	}
}
