package chain

import (
	"context"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/tally"
)

// counted is the Dialer of a hop, whose dials are counted and are steps of their requests.
type counted struct {
	next core.Dialer
	id   string
	of   *tally.Outbound
}

var _ core.Finder = counted{}

// DialStream implements core.Dialer.
func (c counted) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	began := time.Now()
	s, err := c.next.DialStream(ctx, r)
	c.of.Dialled(began, err)
	c.step(r, began, err)
	return s, err
}

// OpenPackets implements core.Dialer.
func (c counted) OpenPackets(ctx context.Context, r *core.Request) (core.PacketConn, error) {
	if !r.Flow.Recording() {
		return c.next.OpenPackets(ctx, r)
	}
	began := time.Now()
	p, err := c.next.OpenPackets(ctx, r)
	c.step(r, began, err)
	return p, err
}

func (c counted) step(r *core.Request, began time.Time, err error) {
	if r.Flow.Recording() {
		r.Flow.Step(core.Step{Kind: core.StepDial, Name: c.id, Began: began, Took: time.Since(began), Err: err})
	}
}

// CheckPackets implements core.Dialer.
func (c counted) CheckPackets() error { return c.next.CheckPackets() }

// PayloadWait implements core.Dialer.
func (c counted) PayloadWait(r *core.Request) time.Duration { return c.next.PayloadWait(r) }

// Find implements core.Finder.
func (c counted) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	return core.Find(ctx, c.next, r)
}
