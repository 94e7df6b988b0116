package coretest

import (
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func dialerConcurrent(t *testing.T, d core.Dialer) {
	tg := newTarget(t)
	const streams = 8
	within(t, "streams dialled at once", func() {
		var all sync.WaitGroup
		for i := range streams {
			all.Go(func() {
				s, err := d.DialStream(t.Context(), request(tg.addr, []byte{byte(i)}))
				if err != nil {
					t.Errorf("dial %d: %v", i, err)
					return
				}
				defer s.Close()
				Read(t, s, []byte{byte(i)})
			})
		}
		for range streams {
			far := <-tg.conns
			all.Go(func() {
				one := make([]byte, 1)
				if _, err := far.Read(one); err != nil {
					t.Errorf("read: %v", err)
				}
				Write(t, far, one)
			})
		}
		all.Wait()
	})
}

// dialerPackets exchanges datagrams with two UDP servers: both must see one source, and
// each answer must contain the address of its server.
func dialerPackets(t *testing.T, d core.Dialer) {
	first, second := newEcho(t), newEcho(t)
	r := request(first.addr, nil)
	p, err := d.OpenPackets(t.Context(), r)
	check := d.CheckPackets()
	if errors.Is(err, core.ErrNoPackets) {
		if !errors.Is(check, core.ErrNoPackets) {
			t.Errorf("check: got %v, want core.ErrNoPackets, as OpenPackets returns", check)
		}
		return
	}
	if err != nil || check != nil {
		t.Fatalf("open packets: got %v, want a connection or core.ErrNoPackets; check: got %v, want nil", err, check)
	}
	defer p.Close()
	in := newInbox()
	p.Receive(in.sink)
	for i, to := range []*echoServer{first, second, first} {
		want := Pattern(1000+i, byte(i))
		if n, err := p.WritePackets([]core.Packet{{Addr: to.addr, Data: Pattern(1000+i, byte(i))}}); n != 1 || err != nil {
			t.Fatalf("write: got %d, %v, want 1, nil", n, err)
		}
		got := in.next(t)
		if got.Addr != to.addr {
			t.Errorf("source of an answer: got %v, want %v", got.Addr, to.addr)
		}
		same(t, got.Data, want)
	}
	if a, b := Await(t, "a datagram", first.from), Await(t, "a datagram", second.from); a != b {
		t.Errorf("two targets saw the sources %v and %v, want one", a, b)
	}
	p.Close()
	if n, err := p.WritePackets([]core.Packet{{Addr: first.addr, Data: []byte("late")}}); n != 0 || err == nil {
		t.Errorf("write after close: got %d, %v, want 0, an error", n, err)
	}
}

func dialerPayloadWait(t *testing.T, d core.Dialer) {
	r := request(core.AddrFrom(FreeAddr(t)), nil)
	before := snapshot(r)
	first, second := d.PayloadWait(r), d.PayloadWait(r)
	if first < 0 || first != second {
		t.Errorf("payload wait: got %s, then %s, want the same twice, not negative", first, second)
	}
	if after := snapshot(r); !reflect.DeepEqual(before, after) {
		t.Errorf("the request was changed: got %+v, want %+v", after, before)
	}
}
