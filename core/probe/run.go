package probe

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// maxNever is the number of consecutive failed connections after which a run stops:
// the server is gone, or has banned the prober's address.
const maxNever = 8

// Result is the outcome of a run.
type Result struct {
	Config  Config
	Addr    string   // resolved address of the server
	Records []Record // in the order of the plan
	Planned int      // probes
	Stopped bool     // the context ended before all probes were made
	Barred  bool     // maxNever connections failed in a row

	Salt    string // outcome of a request whose salt had been sent before, or ""
	Closing string // why a valid request was not answered at the end, or ""
	Packets string // why a valid datagram was not answered, or ""
}

// Run makes the connections of the plan. It calls done after each probe with the
// number of probes made so far and the probe's record. Run returns an error if there
// is nothing to judge: no server listens, or it does not serve the key. If ctx ends,
// Run returns the records so far.
func (p *Plan) Run(ctx context.Context, done func(int, Record)) (*Result, error) {
	res := &Result{Config: p.cfg, Planned: len(p.probes)}
	conn, _, err := dial(ctx, p.cfg.Server)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %s", p.cfg.Server, reason(err))
	}
	res.Addr = conn.RemoteAddr().String()
	conn.Close()
	m := &material{key: p.cfg.Key}
	if m.key != nil {
		if m.recorded, err = m.key.control(ctx, res.Addr, nil); err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
		res.Salt = m.key.sendSaltFirst(ctx, res.Addr)
		if p.cfg.Packets {
			m.datagram, res.Packets = m.key.packetControl(ctx, res.Addr)
		}
	}
	r := &round{plan: p, material: m, addr: res.Addr, done: done, records: make([]*Record, len(p.probes))}
	r.run(ctx)
	res.Records = r.made()
	res.Barred, res.Stopped = r.barred, ctx.Err() != nil
	if res.Barred || res.Stopped {
		return res, nil
	}
	p.repeat(ctx, m, res)
	if m.key != nil {
		if _, err := m.key.control(ctx, res.Addr, nil); err != nil {
			res.Closing = err.Error()
		}
	}
	return res, nil
}

// repeat makes the probes again whose reaction was unusual. If the second reaction
// differs from the first, the first is attributed to the network.
func (p *Plan) repeat(ctx context.Context, m *material, res *Result) {
	odd := oddOnes(p.cfg, res.Records)
	if len(odd) == 0 || len(odd) > maxAgain {
		return
	}
	again := &Plan{cfg: p.cfg}
	for _, i := range odd {
		again.add(res.Records[i].Probe)
	}
	r := &round{plan: again, material: m, addr: res.Addr, done: func(int, Record) {}, records: make([]*Record, len(odd))}
	r.run(ctx)
	base := baseOf(p.cfg, res.Records)
	for j, i := range odd {
		second := r.records[j]
		if second == nil || !alike(p.cfg, base, res.Records[i], *second) {
			res.Records[i].Unsure = true
		}
	}
}

// round makes the probes of a plan, Parallel at a time.
type round struct {
	plan     *Plan
	material *material
	addr     string
	done     func(int, Record)

	mu      sync.Mutex
	count   int       // guarded by mu, as are all fields below
	never   int       // not connected, in a row
	barred  bool      // never has reached maxNever
	records []*Record // nil for probes not made
}

func (r *round) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(r.plan.cfg.Parallel, len(r.records)) {
		workers.Go(func() {
			for i := range next {
				rec, ok := r.one(ctx, r.plan.probes[i])
				if ok && r.store(i, rec) {
					cancel()
				}
			}
		})
	}
	for i := range r.records {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
}

// one makes one probe. It returns false if the probe was not made or ctx ended.
func (r *round) one(ctx context.Context, p Probe) (Record, bool) {
	if ctx.Err() != nil || p.Family == DgReplay && r.material.datagram == nil {
		return Record{}, false
	}
	b, err := r.material.bytesOf(p)
	if err != nil {
		return Record{Probe: p, End: EndNever, Err: err.Error()}, true
	}
	if p.Family.packets() {
		return exchangePacket(ctx, r.addr, p, b, min(packetWait, r.plan.cfg.Wait))
	}
	return exchange(ctx, r.addr, p, b, r.plan.cfg.Wait)
}

// store keeps a record, and reports whether the run must stop.
func (r *round) store(i int, rec Record) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[i] = &rec
	if r.count++; rec.End == EndNever && !rec.Family.packets() {
		r.never++
	} else {
		r.never = 0
	}
	r.barred = r.barred || r.never >= maxNever
	r.done(r.count, rec)
	return r.barred
}

// made returns the records of the probes that were made.
func (r *round) made() []Record {
	var all []Record
	for _, rec := range r.records {
		if rec != nil {
			all = append(all, *rec)
		}
	}
	return slices.Clip(all)
}
