package dial_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/panics"
)

// A resolver that does not answer is left after 10 s; that counts as a failure.
func TestResolvePacketsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{Hold: make(chan struct{})}
		c := resolvePackets(t, names)
		began := time.Now()
		c.write(t, 1, "slow.test", "lost")
		time.Sleep(10*time.Second - 1)
		c.write(t, 1, "slow.test", "waits in vain")
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		c.write(t, 0, "slow.test", "dropped")
		time.Sleep(5 * time.Second)
		c.write(t, 1, "slow.test", "asked again")
		synctest.Wait()
		if got := len(names.Asked()); got != 2 {
			t.Errorf("questions after %s: got %d, want 2", time.Since(began), got)
		}
		c.arrived(t)
	})
}

// Close ends lookups, whose datagrams are lost. That the bubble ends shows that no
// goroutine waits on.
func TestResolvePacketsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{Hold: make(chan struct{})}
		c := resolvePackets(t, names)
		names.Names = c.names("slow.test", "other.test")
		c.write(t, 1, "slow.test", "lost")
		c.write(t, 1, "other.test", "lost")
		synctest.Wait()
		began := time.Now()
		c.Close()
		c.Close()
		c.arrived(t)
		if took := time.Since(began); took != 0 || c.flow.Cause() != nil {
			t.Errorf("got the end of lookups after %s, cause %v, want it at once, nil", took, c.flow.Cause())
		}
		n, err := c.WritePackets([]core.Packet{{Addr: c.far.Addr, Data: []byte("late")}})
		if n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("write to an address after close: got %d, %v, want 0, net.ErrClosed", n, err)
		}
		fresh, err := core.NewAddr("new.test", 53)
		if err != nil {
			t.Fatal(err)
		}
		n, err = c.WritePackets([]core.Packet{{Addr: fresh, Data: []byte("late")}}) // asks for nothing
		if n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("write to a name after close: got %d, %v, want 0, net.ErrClosed", n, err)
		}
		synctest.Wait()
		if got := len(names.Asked()); got != 2 {
			t.Errorf("questions: got %d, want none after close", got-2)
		}
	})
}

// panickyResolver panics for one name.
type panickyResolver struct{ core.Resolver }

func (p panickyResolver) LookupIP(ctx context.Context, name string) ([]netip.Addr, error) {
	if name == "panic.test" {
		panic("no map")
	}
	return p.Resolver.LookupIP(ctx, name)
}

// A resolver's panic cuts the flow, whose owner closes the connection; it does
// nothing worse.
func TestResolvePacketsPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{}
		c := resolvePackets(t, panickyResolver{names})
		names.Names = c.names("a.test")
		c.write(t, 1, "panic.test", "lost")
		synctest.Wait()
		var panicked *panics.Error
		if cause := c.flow.Cause(); !errors.As(cause, &panicked) || panicked.Value != "no map" {
			t.Errorf("cause: got %v, want a PanicError", cause)
		}
		c.write(t, 1, "a.test", "good")
		c.arrived(t, "good")
	})
}

// A next connection that fails when a name has been found cuts the flow.
func TestResolvePacketsNextFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errGone := errors.New("gone")
		names := &coretest.Resolver{Names: map[string][]netip.Addr{"a.test": addrs("192.0.2.1")}}
		flow := new(core.Flow)
		c := dial.ResolvePackets(broken(func() error { return errGone }), "resolver.x", names, &core.Request{Flow: flow}, nil)
		if n, err := c.WritePackets([]core.Packet{{Addr: coretest.Addr(t, "a.test:1"), Data: []byte("x")}}); n != 1 || err != nil {
			t.Errorf("write: got %d, %v, want 1, nil", n, err)
		}
		synctest.Wait()
		if flow.Cause() != errGone {
			t.Errorf("cause: got %v, want %v", flow.Cause(), errGone)
		}
	})
}

// So does one that panics then: no other goroutine could catch it.
func TestResolvePacketsNextPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &coretest.Resolver{Names: map[string][]netip.Addr{"a.test": addrs("192.0.2.1")}}
		flow := new(core.Flow)
		c := dial.ResolvePackets(broken(func() error { panic("slice bounds") }), "resolver.x", names, &core.Request{Flow: flow}, nil)
		if n, err := c.WritePackets(packets("x", coretest.Addr(t, "a.test:1"))); n != 1 || err != nil {
			t.Errorf("write: got %d, %v, want 1, nil", n, err)
		}
		synctest.Wait()
		var panicked *panics.Error
		if !errors.As(flow.Cause(), &panicked) {
			t.Errorf("cause: got %v, want a PanicError", flow.Cause())
		}
	})
}

// broken is a PacketConn whose writes fail.
type broken func() error

func (f broken) WritePackets([]core.Packet) (int, error) { return 0, f() }
func (broken) Receive(core.PacketSink)                   {}
func (broken) Close() error                              { return nil }
