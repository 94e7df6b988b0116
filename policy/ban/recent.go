package ban

import (
	"container/list"
	"net/netip"
)

// recent is a bounded map of addresses; over its bound it forgets the one that was
// put longest ago.
type recent[V any] struct {
	most   int
	byAddr map[netip.Prefix]*list.Element // of *kept[V]
	order  *list.List                     // the oldest first
}

type kept[V any] struct {
	addr  netip.Prefix
	value V
}

func newRecent[V any](most int) recent[V] {
	return recent[V]{most, map[netip.Prefix]*list.Element{}, list.New()}
}

// get returns what is kept of an address.
func (r *recent[V]) get(addr netip.Prefix) (v V, ok bool) {
	e := r.byAddr[addr]
	if e == nil {
		return v, false
	}
	return e.Value.(*kept[V]).value, true
}

// put keeps v of an address.
func (r *recent[V]) put(addr netip.Prefix, v V) {
	if e := r.byAddr[addr]; e != nil {
		e.Value.(*kept[V]).value = v
		r.order.MoveToBack(e)
		return
	}
	for r.order.Len() >= r.most {
		oldest := r.order.Remove(r.order.Front()).(*kept[V])
		delete(r.byAddr, oldest.addr)
	}
	r.byAddr[addr] = r.order.PushBack(&kept[V]{addr, v})
}

// drop forgets an address.
func (r *recent[V]) drop(addr netip.Prefix) {
	if e := r.byAddr[addr]; e != nil {
		r.order.Remove(e)
		delete(r.byAddr, addr)
	}
}
