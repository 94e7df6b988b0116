package tally

import (
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// inbound is what is counted for an inbound.
type inbound struct {
	accepted  [len(networks)]atomic.Uint64
	failures  table[failure] // by reason
	handshake histogram
}

// failure is what is counted for handshakes that failed for one reason.
type failure struct {
	count atomic.Uint64
	bytes histogram
}

// failed counts a failed handshake.
func (in *inbound) failed(e core.Event) {
	f := in.failures.get(e.Reason())
	f.count.Add(1)
	if e.Received >= 0 {
		f.bytes.in(probeBounds).Observe(float64(e.Received))
	}
}

// probeBounds are where methods begin to read: nothing, the salts of 16 and 32 bytes, with
// a first length and its tag, with the fixed header of SIP022, a TLS record.
func probeBounds() []float64 {
	return []float64{0, 1, 7, 16, 32, 34, 43, 50, 59, 75, 100, 221, 517, 1024, 4096, 16384}
}

// requested counts the time of a handshake that made a request.
func (in *inbound) requested(s core.Stages) {
	if !s.Accepted.IsZero() && !s.Requested.IsZero() {
		in.handshake.in(metrics.Short).ObserveTime(s.Requested.Sub(s.Accepted))
	}
}

func (in *inbound) measure(name string, yield func(core.Figure)) {
	for i, network := range networks {
		count(yield, metrics.Accepted, in.accepted[i].Load(), name, string(network))
	}
	in.failures.each(func(reason string, f *failure) {
		count(yield, metrics.HandshakeFailures, f.count.Load(), name, reason)
		f.bytes.yield(yield, metrics.ProbeBytes, name, reason)
	})
	in.handshake.yield(yield, metrics.HandshakeSeconds, name)
}

// Accepted returns how many clients of an inbound have connected.
func (t *Tally) Accepted(inbound string) (n uint64) {
	in := t.inbounds.get(inbound)
	for i := range in.accepted {
		n += in.accepted[i].Load()
	}
	return n
}

// Failures returns how many handshakes of an inbound failed, by reason.
func (t *Tally) Failures(inbound string) map[string]uint64 {
	all := map[string]uint64{}
	t.inbounds.get(inbound).failures.each(func(reason string, f *failure) { all[reason] = f.count.Load() })
	return all
}
