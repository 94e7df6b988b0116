package route

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/panics"
)

// TestPacketsEnd has what runs in a branch told of its end: when the branch fails, when the
// association ends, and when the branch can't be opened.
func TestPacketsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c, _, ads, office, _ := association(t, w)
		ended := 0
		w.rest.Packets = func(_ context.Context, r *core.Request) (core.PacketConn, error) {
			r.Flow.OnEnd(func() { ended++ })
			return nil, errors.New("not opened")
		}
		_, _ = c.WritePackets([]core.Packet{packet(t, "x.ads:1", "a"), packet(t, "10.0.0.1:1", "b"), packet(t, "192.0.2.1:1", "c")})
		ads.all[0].flow.OnEnd(func() { ended++ })
		office.all[0].flow.OnEnd(func() { ended++ })
		if ended != 1 {
			t.Errorf("got %d ends, want that of the branch that did not open", ended)
		}
		ads.all[0].flow.Cut(errors.New("broken"))
		synctest.Wait()
		if ended != 2 {
			t.Errorf("got %d ends, want 2 after a branch has failed", ended)
		}
		c.Close()
		if ended != 3 {
			t.Errorf("got %d ends, want all 3", ended)
		}
	})
}

// panicking is a rule that panics once the addresses of a name are known.
type panicking struct{ core.Dialer }

func (p panicking) Over(core.Dialer) (core.Dialer, error) { return p.Dialer, nil }
func (panicking) On() core.Networks                       { return 0 }
func (panicking) Judge(_ *core.Request, _ core.Addr, ips []netip.Addr) core.Judgement {
	if len(ips) > 0 {
		panic("of a rule")
	}
	return core.RuleNeedsIPs
}

// TestPacketsPanic has a rule panic after a lookup: the association ends, and nothing else.
func TestPacketsPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{
			Outbound: &Outbound{
				env: coretest.Env(t), names: []string{"rule.bad"}, rules: []core.Rule{panicking{coretest.NewDialer()}}, remember: 1,
				resolver: &coretest.Resolver{Names: map[string][]netip.Addr{"www.test": {netip.MustParseAddr("192.0.2.1")}}},
			},
			branches: []core.Dialer{coretest.NewDialer(), coretest.NewDialer()},
		}
		r := &core.Request{Network: core.UDP, Flow: new(core.Flow)}
		c, err := d.OpenPackets(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n, err := c.WritePackets([]core.Packet{packet(t, "www.test:1", "a")}); n != 1 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
		synctest.Wait()
		if r.Flow.Cause() == nil {
			t.Error("the association goes on")
		}
	})
}

// TestChoicesNoAddress has a name without addresses.
func TestChoicesNoAddress(t *testing.T) {
	o := &Outbound{
		env: coretest.Env(t), names: []string{"rule.office"}, rules: []core.Rule{below{Dialer: coretest.NewDialer(), in: netip.MustParsePrefix("10.0.0.0/8")}},
		resolver: noAddress{},
	}
	_, err := o.Choices(t.Context(), &core.Request{Target: coretest.Addr(t, "www.test:1")}, true)
	if err == nil || strings.Contains(err.Error(), "%!") {
		t.Errorf("got %v, want a reason", err)
	}
}

// noAddress finds names, and no address of them.
type noAddress struct{ core.Resolver }

func (noAddress) LookupIP(context.Context, string) ([]netip.Addr, error) { return nil, nil }

// TestPacketsPanicOpening has a branch panic while it is opened: whoever recovers that can
// close the association.
func TestPacketsPanicOpening(t *testing.T) {
	w := newWorld()
	c, _, _, _, _ := association(t, w)
	w.rest.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { panic("of a branch") }
	if err := panics.Call(func() error {
		_, err := c.WritePackets([]core.Packet{packet(t, "192.0.2.1:1", "a")})
		return err
	}); err == nil {
		t.Error("no panic")
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.Close()
	}()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Fatal("Close waits for the lock of a call that has panicked")
	}
}
