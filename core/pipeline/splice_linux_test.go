package pipeline_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
)

// openFiles returns how many descriptors the process holds.
func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// A relay whose bytes the kernel moves holds a pipe, which is two descriptors,
// while it moves them only: many idle ones hold their connections and no more.
func TestSpliceIdleDescriptors(t *testing.T) {
	const relays = 64
	data := coretest.Pattern(100_000, 1)
	var idle []*relayed
	defer func() {
		for _, r := range idle {
			r.close()
			coretest.Await(t, "the relay's end", r.done)
		}
	}()
	for range relays {
		idle = append(idle, startRelay(t, coretest.Pairs[1].Make, coretest.Pairs[1].Make, nil))
	}
	before := openFiles(t)
	for _, r := range idle { // one after the other, so that few pipes are ever open at once
		coretest.Together(func() { coretest.Write(t, r.client, data) }, func() { coretest.Read(t, r.target, data) })
		coretest.Together(func() { coretest.Write(t, r.target, data) }, func() { coretest.Read(t, r.client, data) })
	}
	coretest.Eventually(t, "no more descriptors of idle relays than a few pipes", func() bool {
		runtime.GC() // with the race detector the pool drops some pipes, which are closed then
		return openFiles(t) <= before+relays/2
	})
}
