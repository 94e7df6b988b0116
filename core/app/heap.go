package app

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// heapFloor is the heap below which collecting garbage is not worth the time:
	// without it a heap of 3 MiB is collected 30 times a second under load.
	heapFloor = 16 << 20
	// usualPercent is Go's own pace: a collection when the heap has doubled.
	usualPercent = 100
)

// heap keeps the collector from running while the heap is small. Above the floor
// its pace is the usual one, so memory stays what it would be.
type heap struct {
	stopped atomic.Bool
	percent int // set last; a change stops the world
}

// paceHeap begins to set the pace after each collection, unless the environment
// sets it. stop ends that.
func paceHeap() (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	h := new(heap)
	h.arm()
	return func() {
		h.stopped.Store(true)
		debug.SetGCPercent(usualPercent)
	}
}

// arm sets the pace now and after the next collection, which finds nobody that
// holds the object made here.
func (h *heap) arm() {
	if h.stopped.Load() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if percent := percentFor(live[0].Value.Uint64()); percent != h.percent {
		h.percent = percent
		debug.SetGCPercent(percent)
	}
	runtime.AddCleanup(new([64]byte), (*heap).arm, h)
}

// percentFor returns by how many percent a heap of live bytes may grow before it
// is collected.
func percentFor(live uint64) int {
	if live == 0 {
		live = 1
	}
	grown := int64(heapFloor*100/live) - 100
	return int(min(max(grown, usualPercent), 4*usualPercent)) // of which the runtime's own floor of 4 MiB takes its share
}
