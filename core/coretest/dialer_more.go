package coretest

import (
	"errors"
	"net"
	"reflect"
	"sync"
	"testing"
	"time"

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
				receive(t, s, []byte{byte(i)})
			})
		}
		for range streams {
			far := <-tg.conns
			all.Go(func() {
				one := make([]byte, 1)
				if _, err := far.Read(one); err != nil {
					t.Errorf("read: %v", err)
				}
				send(t, far, one)
			})
		}
		all.Wait()
	})
}

// dialerPackets lets a datagram go to a UDP server and back.
func dialerPackets(t *testing.T, d core.Dialer) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	to := core.AddrFrom(server.LocalAddr().(*net.UDPAddr).AddrPort())
	p, err := d.OpenPackets(t.Context(), request(to, nil))
	if errors.Is(err, core.ErrNoPackets) {
		return
	}
	if err != nil {
		t.Fatalf("open packets: got %v, want a connection or core.ErrNoPackets", err)
	}
	defer p.Close()
	_ = server.SetDeadline(time.Now().Add(patience))
	if err := p.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	want := Pattern(1000, 1)
	if n, err := p.WritePackets([]core.Packet{{Addr: to, Data: want}}); n != 1 || err != nil {
		t.Fatalf("write: got %d, %v, want 1, nil", n, err)
	}
	got := make([]byte, core.MaxDatagram)
	n, from, err := server.ReadFromUDPAddrPort(got)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got[:n], want)
	if _, err := server.WriteToUDPAddrPort(want[:500], from); err != nil {
		t.Fatal(err)
	}
	ps := []core.Packet{{Data: got}}
	if n, err := p.ReadPackets(ps); n != 1 || err != nil || ps[0].Addr != to {
		t.Fatalf("read: got %d, %v from %v, want 1, nil from %v", n, err, ps[0].Addr, to)
	}
	same(t, ps[0].Data, want[:500])
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
