package limit

import (
	"context"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// waiting is a client whose stream is at hand.
type waiting struct{ s core.Stream }

func (p waiting) Accept() (core.Stream, error) { return p.s, nil }
func (p waiting) Reject(error)                 { p.s.Close() }

// The connections of a user end for the bound too where a balancer names no client.
func TestUnattributed(t *testing.T) {
	for _, un := range []bool{false, true} {
		o := strict()
		o.ConnectionsPerUser = 2
		p := policy(t, coretest.Env(t), o)
		d := &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) {
			near, far := coretest.Pipe()
			far.Close()
			return near, nil
		}}
		pl := pipeline.New(pipeline.Config{Name: "x", Log: coretest.Log(t), Gates: []core.Gate{p}, Dialer: p.Wrap(d), DialTimeout: time.Second, IdleTimeout: time.Minute})
		c := core.Client{Network: core.TCP, Inbound: "in", Unattributed: un}
		for range 3 { // one more than she may have at once
			if err := pl.Admit(c); err != nil {
				t.Fatal(err)
			}
			near, far := coretest.Pipe()
			far.Close()
			ended := make(chan struct{})
			pl.HandleStream(t.Context(), &core.Request{User: "alice", Client: c, Target: coretest.Target, Flow: new(core.Flow), Ended: func() { close(ended) }}, waiting{near}, nil)
			<-ended
		}
		p.users.mu.Lock()
		n, f := p.users.all["alice"].connections, len(p.users.flows)
		p.users.mu.Unlock()
		if n != 0 || f != 0 {
			t.Errorf("unattributed %t: after the end alice has %d connections, %d flows, want none", un, n, f)
		}
	}
}
