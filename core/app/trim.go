package app

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// trimPeriod is the interval between two looks at the memory.
	trimPeriod = 5 * time.Second
	// trimLeast is the memory that is worth a trim.
	trimLeast = 8 << 20
)

// trimmer gives the memory of a burst back to the system once the process is quiet: by
// itself the runtime collects the garbage of a quiet process, and empties its pools, only
// after minutes.
type trimmer struct {
	held   uint64 // after the last trim, or at the least look since
	cycles uint64 // collections, at the last look
}

// due reports whether to trim a process that holds so many bytes, after so many
// collections. A process that has collected garbage since the last look is busy.
func (t *trimmer) due(held, cycles uint64) bool {
	quiet := cycles == t.cycles
	t.cycles = cycles
	t.held = min(t.held, held)
	return quiet && held-t.held >= trimLeast
}

// trimMemory begins to trim the process every trimPeriod. stop ends that.
func trimMemory() (stop func()) {
	t := new(trimmer)
	t.held, t.cycles = heldMemory()
	ticker, done := time.NewTicker(trimPeriod), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-ticker.C:
				t.look()
			case <-done:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(done)
		running.Wait()
	}
}

// look trims the process if that is due.
func (t *trimmer) look() {
	if !t.due(heldMemory()) {
		return
	}
	runtime.GC() // pools keep what they hold over one collection
	debug.FreeOSMemory()
	t.held, t.cycles = heldMemory()
}

// heldMemory returns how many bytes the runtime has and has not given back, and how many
// collections there were.
func heldMemory() (held, cycles uint64) {
	s := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64(), s[2].Value.Uint64()
}
