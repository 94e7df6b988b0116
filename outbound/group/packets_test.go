package group_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// wire is the PacketConn of a member in a test.
type wire struct {
	mu     sync.Mutex
	flow   *core.Flow
	sent   int
	closed bool
	err    error
	sink   core.PacketSink
}

func (w *wire) WritePackets(ps []core.Packet) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.sent += len(ps)
	return len(ps), nil
}

func (w *wire) Receive(sink core.PacketSink) { w.sink = sink }

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return nil
}

// state returns how many datagrams were sent, and whether the wire is closed.
func (w *wire) state() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d %t", w.sent, w.closed)
}

// withPackets gives each member wires, in the order in which they are opened.
func (w *world) withPackets() *[]*wire {
	var opened []*wire
	for _, m := range w.members {
		m.Packets = func(_ context.Context, r *core.Request) (core.PacketConn, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.err != nil {
				return nil, m.err
			}
			opened = append(opened, &wire{flow: r.Flow})
			return opened[len(opened)-1], nil
		}
	}
	return &opened
}

func datagrams(n int) []core.Packet {
	ps := make([]core.Packet, n)
	for i := range ps {
		ps[i] = core.Packet{Addr: newRequest("192.0.2.1:53").Target, Data: []byte("hello")}
	}
	return ps
}

func association() *core.Request {
	r := newRequest("192.0.2.1:53")
	r.Network, r.Target, r.Payload = core.UDP, core.Addr{}, nil
	return r
}

// send sends a datagram by an association.
func send(t *testing.T, c core.PacketConn, want int) {
	t.Helper()
	if n, err := c.WritePackets(datagrams(1)); n != want || err != nil {
		t.Errorf("write: got %d, %v, want %d", n, err, want)
	}
}

// TestAssociationMoves has the member of an association go out.
func TestAssociationMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		wires := w.withPackets()
		r := association()
		c, err := w.dialer.OpenPackets(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan int, 10)
		c.Receive(func(ps []core.Packet) { got <- len(ps) })
		send(t, c, 1)
		w.members[0].set(errRefused, 0)
		for range 3 {
			w.want("b")
		}
		send(t, c, 1)
		synctest.Wait()
		if a, b := (*wires)[0].state(), (*wires)[1].state(); a != "1 true" || b != "1 false" {
			t.Errorf("got %s and %s, want the second datagram by the second member, and the first wire closed", a, b)
		}
		(*wires)[0].sink(datagrams(1)) // too late
		(*wires)[1].sink(datagrams(2))
		if n := <-got; n != 2 || len(got) != 0 {
			t.Errorf("got a burst of %d, and %d more, want the 2 of the second member", n, len(got))
		}
		if path := fmt.Sprint(r.Flow.Chosen()); path != "[outbound.a outbound.b]" {
			t.Errorf("path: got %s", path)
		}
		if err := c.Close(); err != nil || (*wires)[1].state() != "1 true" {
			t.Errorf("close: got %v, %s", err, (*wires)[1].state())
		}
		if _, err := c.WritePackets(datagrams(1)); err == nil {
			t.Error("a write after close got no error")
		}
		for _, m := range w.group.Members() {
			if m.Running() != 0 {
				t.Errorf("%s: %d still run", m.Name(), m.Running())
			}
		}
	})
}

// TestAssociationFails has the connection of a member fail, by an error and by the cut of its
// flow: the next datagram goes by the next member, once the first is out.
func TestAssociationFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, how := range []string{"write", "cut"} {
			w := newWorld(t, 2, first{}, func(o *group.Options) { o.Fall = 1 })
			wires := w.withPackets()
			r := association()
			c, err := w.dialer.OpenPackets(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			c.Receive(func([]core.Packet) {})
			if how == "write" {
				(*wires)[0].err = errors.New("broken")
				send(t, c, 0) // lost, as in any network
			} else {
				(*wires)[0].flow.Cut(errors.New("broken"))
			}
			synctest.Wait()
			send(t, c, 1)
			if len(*wires) != 2 || (*wires)[1].state() != "1 false" || r.Flow.Cause() != nil {
				t.Errorf("%s: got %d wires, flow %v", how, len(*wires), r.Flow.Cause())
			}
			c.Close()
		}
	})
}

// TestAssociationSwitch moves an association with on_switch = "cut" alone.
func TestAssociationSwitch(t *testing.T) {
	for _, option := range []string{"leave", "cut"} {
		w := newWorld(t, 2, first{}, func(o *group.Options) { o.OnSwitch = option })
		wires := w.withPackets()
		c, err := w.dialer.OpenPackets(t.Context(), association())
		if err != nil {
			t.Fatal(err)
		}
		send(t, c, 1)
		w.group.SwitchTo(w.group.Members()[1])
		send(t, c, 1)
		// The picker still takes the first: an association that finds no other stays.
		if s := (*wires)[0].state(); s != "2 false" {
			t.Errorf("%s: got %s", option, s)
		}
		c.Close()
	}
}

// TestAssociationSilence has the answers of a member end while datagrams of many targets go
// up: it goes out, and the associations move.
func TestAssociationSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		wires := w.withPackets()
		var all []core.PacketConn
		for i := range 5 {
			c, err := w.dialer.OpenPackets(t.Context(), association())
			if err != nil {
				t.Fatal(err)
			}
			c.Receive(func([]core.Packet) {})
			all = append(all, c)
			defer c.Close()
			_ = i
		}
		burst := func(answer bool) {
			for i, c := range all {
				ps := datagrams(1)
				ps[0].Addr = newRequest(fmt.Sprintf("192.0.2.%d:53", i)).Target
				if n, err := c.WritePackets(ps); n != 1 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
				if answer {
					(*wires)[i].sink(datagrams(1))
				}
			}
			time.Sleep(time.Second)
		}
		for range 20 {
			burst(true)
		}
		if w.group.Members()[0].IsOut() {
			t.Fatal("a member that answers is out")
		}
		for range 8 {
			burst(false)
		}
		if !w.group.Members()[0].IsOut() {
			t.Error("a silent member is in")
		}
		burst(false)
		if len(*wires) != 10 {
			t.Errorf("got %d wires, want 5 by each member", len(*wires))
		}
	})
}

// TestAssociationNone has no member that opens.
func TestAssociationNone(t *testing.T) {
	w := newWorld(t, 2, first{}, nil)
	w.withPackets()
	w.members[0].set(errRefused, 0)
	w.members[1].set(errRefused, 0)
	if _, err := w.dialer.OpenPackets(t.Context(), association()); err == nil || core.ReasonOf(err) != "refused" {
		t.Errorf("got %v, want both refused", err)
	}
}

// TestCheckPackets names the member that carries no UDP.
func TestCheckPackets(t *testing.T) {
	w := newWorld(t, 2, first{}, nil)
	w.withPackets()
	if err := w.dialer.CheckPackets(); err != nil {
		t.Errorf("got %v", err)
	}
	w.members[1].Packets = nil
	err := w.dialer.CheckPackets()
	placed, ok := errors.AsType[*core.ComponentError](err)
	if !ok || !errors.Is(err, core.ErrNoPackets) {
		t.Fatalf("got %v, want a core.ErrNoPackets at its place", err)
	}
	if at, ok := errors.AsType[*core.OptionError](placed.Err); !ok || at.Key != "members.1" || at.Err.Error() != "outbound.b carries no UDP" {
		t.Errorf("got %v", placed.Err)
	}
}

var _ core.PacketConn = (*wire)(nil)

// firstHop is an outbound that dials for itself.
type firstHop struct{}

func (firstHop) Over(core.Dialer) (core.Dialer, error) { return nil, core.ErrFirstHop }

// TestFirstHop names the member that can't stand behind another hop.
func TestFirstHop(t *testing.T) {
	env := coretest.Env(t)
	env.Graph = coretest.Graph{core.Ref[core.Outbound]("a"): newMember(), core.Ref[core.Outbound]("b"): firstHop{}}
	o := options()
	o.Members = []core.Ref[core.Outbound]{"a", "b"}
	g, err := group.New(env, o, first{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Over(coretest.NewDialer())
	placed, ok := errors.AsType[*core.ComponentError](err)
	if !ok || !errors.Is(err, core.ErrFirstHop) {
		t.Fatalf("got %v", err)
	}
	if at, ok := errors.AsType[*core.OptionError](placed.Err); !ok || at.Key != "members.1" {
		t.Errorf("got %v", placed.Err)
	}
}

// TestAssociationTrial brings a member back by the answers of associations alone.
func TestAssociationTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, nil)
		wires := w.withPackets()
		w.members[0].set(errRefused, 0)
		open := func() core.PacketConn {
			c, err := w.dialer.OpenPackets(t.Context(), association())
			if err != nil {
				t.Fatal(err)
			}
			c.Receive(func([]core.Packet) {})
			return c
		}
		for range 3 {
			open().Close()
		}
		if !w.group.Members()[0].IsOut() {
			t.Fatal("a member that does not open is in")
		}
		w.members[0].set(nil, 0)
		time.Sleep(31 * time.Second)
		for i := range 3 {
			c := open()
			send(t, c, 1)
			last := (*wires)[len(*wires)-1]
			last.sink(datagrams(1))
			if out := w.group.Members()[0].IsOut(); out != (i < 1) {
				t.Errorf("after %d answers: out: %t", i+1, out)
			}
			c.Close()
			time.Sleep(time.Second)
		}
	})
}
