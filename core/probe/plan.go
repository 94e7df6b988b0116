package probe

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	floodSize   = 256 << 10        // bytes
	dialTimeout = 10 * time.Second // of one connection
	packetWait  = 3 * time.Second  // for an answer to a datagram
	maxAgain    = 8                // probes that are repeated at the end
	lateAfter   = 5 * time.Second  // before the first byte of Late
)

// Plan is the list of all probes of a run, made before anything is sent.
type Plan struct {
	cfg      Config
	probes   []Probe // in the order in which they are made
	overhead int     // bytes of the control connections and datagrams
	controls int     // connections and datagrams of the controls, before and after the probes
}

// NewPlan returns the plan for a configuration. With a key it builds a first
// flight to learn its size, and returns the error of that.
func NewPlan(cfg Config) (*Plan, error) {
	p := &Plan{cfg: cfg, controls: 1} // one that sends nothing, to see that a server listens
	if cfg.Key != nil {
		flight, err := cfg.Key.flight()
		if err != nil {
			return nil, err
		}
		p.controls += 5 // four valid requests, and one whose salt is sent first
		p.overhead += 4*len(flight) + prefixSize + garbageSize
		p.keyed(len(flight))
	}
	p.keyless()
	if cfg.Packets {
		if err := p.datagrams(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// sizes returns lengths around those at which known servers change their reaction,
// and those that known probers send.
func (p *Plan) sizes() []int {
	if p.cfg.Quick {
		return []int{0, 1, 8, 16, 33, 43, 44, 50, 51, 60, 100, 221, 221, 1000, 20000}
	}
	return []int{
		0, 1, 7, 8, 9, 11, 12, 13, 15, 16, 17, 21, 22, 23, 32, 33, 34, 40, 41, 42, 43, 44, 48, 49, 50, 51, 59, 60,
		66, 73, 100, 221, 221, 221, 300, 402, 1000, 5000, 20000,
	}
}

// keyless adds the probes that need no key.
func (p *Plan) keyless() {
	for _, n := range p.sizes() {
		p.add(Probe{Family: Random, Size: n, Finish: Open})
	}
	for _, o := range openings() {
		if !p.cfg.Quick || o.quick {
			p.add(Probe{Family: Opening, Name: o.name, Size: len(o.bytes), bytes: o.bytes, Finish: Open})
		}
	}
	p.add(Probe{Family: Slow, Size: 66, Finish: Open, pause: p.cfg.pace()})
	if !p.cfg.Quick {
		p.add(Probe{Family: Late, Size: 66, Finish: Open, pause: min(lateAfter, p.cfg.Wait/4)})
		p.add(Probe{Family: Flood, Size: floodSize, Finish: Open})
	}
	for _, n := range p.sizes() {
		p.add(Probe{Family: Random, Size: n, Finish: FIN})
	}
}

// keyed adds the probes made from first flights of size bytes. Replays come first,
// while their timestamps are still valid.
func (p *Plan) keyed(size int) {
	replays := []Finish{Open, Open, Open, FIN}
	if p.cfg.Quick {
		replays = []Finish{Open, FIN}
	}
	for _, f := range replays {
		p.add(Probe{Family: Replay, Size: size, Finish: f})
	}
	for _, at := range [][]int{{0}, {0, 1, 2, 3, 4, 5, 6, 7, 62, 63}, {8}, {16}, {6, 16}, {size - 1}} {
		p.add(Probe{Family: Altered, Name: places(at), Size: size, Finish: Open, at: at})
	}
	for _, i := range p.pick([]int{0, 8, 15, 16, 23, 24, 31, 32, 33, 34, 42, 43, 49, 50, 58, 59, size / 2, size - 17, size - 16, size - 1}) {
		if i < size {
			p.add(Probe{Family: Damaged, Name: places([]int{i}), Size: size, Finish: Open, at: []int{i}})
		}
	}
	for _, f := range []Finish{Open, FIN} {
		for _, n := range p.pick([]int{1, 8, 16, 17, 24, 31, 32, 33, 34, 42, 43, 49, 50, 51, 58, 59, 60, 66, size - 17, size - 16, size - 1}) {
			if n < size {
				p.add(Probe{Family: Cut, Size: n, Finish: f})
			}
		}
	}
}

// pick returns every third element of all, including the last, for a quick plan,
// and all of them otherwise.
func (p *Plan) pick(all []int) []int {
	if !p.cfg.Quick {
		return all
	}
	var some []int
	for i := len(all) - 1; i >= 0; i -= 3 {
		some = append(some, all[i])
	}
	return some
}

// datagrams adds the probes over UDP.
func (p *Plan) datagrams() error {
	for _, n := range []int{0, 1, 16, 32, 33, 50, 51, 60, 100, 221, 500, 1200} {
		p.add(Probe{Family: Datagram, Size: n})
	}
	k := p.cfg.Key
	if k == nil {
		return nil
	}
	sealed, err := k.datagram()
	if err != nil {
		return err
	}
	p.controls++
	p.overhead += len(sealed)
	size := len(sealed)
	for _, i := range []int{0, 16, 32, size / 2, size - 1} {
		if i < size {
			p.add(Probe{Family: DgDamaged, Name: places([]int{i}), Size: size, at: []int{i}})
		}
	}
	p.add(Probe{Family: DgReplay, Size: size}, Probe{Family: DgReplay, Size: size})
	return nil
}

func (p *Plan) add(ps ...Probe) { p.probes = append(p.probes, ps...) }

// places names the changed bytes.
func places(at []int) string {
	if len(at) > 2 {
		return "bytes 0 to 7, 62 and 63"
	}
	if len(at) == 2 {
		return fmt.Sprintf("bytes %d and %d", at[0], at[1])
	}
	return fmt.Sprintf("byte %d", at[0])
}

// Probes returns the number of probes.
func (p *Plan) Probes() int { return len(p.probes) }

// Connections returns the maximum number of connections and datagrams.
func (p *Plan) Connections() int { return p.controls + len(p.probes) + maxAgain }

// Bytes returns the maximum number of bytes that are sent.
func (p *Plan) Bytes() int {
	total, sizes := p.overhead, []int(nil)
	for _, pr := range p.probes {
		total += pr.Size
		sizes = append(sizes, pr.Size)
	}
	slices.Sort(sizes)
	for _, n := range sizes[max(0, len(sizes)-maxAgain):] { // each is repeated once at most
		total += n
	}
	return total
}

// Longest returns the maximum duration of the run.
func (p *Plan) Longest() time.Duration {
	one := dialTimeout + p.cfg.Wait + p.longestSending()
	return time.Duration(p.controls)*(dialTimeout+controlWait) + time.Duration(p.waves(len(p.probes)))*one + one
}

// Left returns the usual duration of the probes that remain after done. each is the
// time after which the server ends a connection, or 0 if it does not before the end
// of the wait. Probes that keep their side open take that time; the others end at
// once.
func (p *Plan) Left(done int, each time.Duration) time.Duration {
	waiting := 0
	for _, pr := range p.probes[min(done, len(p.probes)):] {
		if pr.Finish == Open {
			waiting++
		}
	}
	return time.Duration(p.waves(waiting)) * cmp.Or(each, p.cfg.Wait)
}

// waves returns the number of rounds that n probes take, Parallel at a time.
func (p *Plan) waves(n int) int { return (n + p.cfg.Parallel - 1) / p.cfg.Parallel }

// longestSending returns the maximum time for sending the bytes of one probe.
func (p *Plan) longestSending() time.Duration {
	longest := sendTimeout
	for _, pr := range p.probes {
		if pr.Family == Slow {
			longest = max(longest, time.Duration(pr.Size)*pr.pause+sendTimeout)
		}
		if pr.Family == Late {
			longest = max(longest, pr.pause+sendTimeout)
		}
	}
	return longest
}
