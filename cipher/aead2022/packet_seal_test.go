package aead2022

import (
	"bytes"
	"errors"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// TestPacketPadding checks which datagrams are padded, and that none exceeds the path MTU.
func TestPacketPadding(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		p, server := pair(t, s)
		o := opens(t, server, sealed(t, p, "x"))
		for name, from := range map[string]interface {
			packetSealer
			Overhead(core.Addr) int
		}{"request": p, "reply": o.Session} {
			sizes := map[int]bool{}
			for range 100 {
				for _, n := range []int{0, 1, 100, 600, 1300, 1400, 2000} {
					to := addr(t, "192.0.2.1:53")
					wire, err := from.AppendPacket(nil, make([]byte, n), to)
					if err != nil {
						t.Fatal(err)
					}
					least := n + from.Overhead(to) - maxPadding
					if len(wire) < least || len(wire) > least+maxPadding || len(wire) > max(least, roomyDatagram) {
						t.Errorf("%s of %d bytes: got %d, want %d or more, and %d at the most", name, n, len(wire), least, roomyDatagram)
					}
					if n == 0 {
						sizes[len(wire)] = true
					}
					plain, err := from.AppendPacket(nil, make([]byte, n), addr(t, "192.0.2.1:443"))
					if want := n + from.Overhead(addr(t, "192.0.2.1:443")); err != nil || len(plain) != want {
						t.Errorf("%s of %d bytes to port 443: got %d, %v, want %d", name, n, len(plain), err, want)
					}
				}
			}
			if len(sizes) < 50 {
				t.Errorf("%s: got %d sizes in 100 datagrams", name, len(sizes))
			}
		}
	})
}

// TestPacketShort uses every size below the minimum.
func TestPacketShort(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		p, server := pair(t, s)
		wire, err := p.AppendPacket(nil, nil, addr(t, "a:443"))
		if err != nil {
			t.Fatal(err)
		}
		for n := range wire {
			drops(t, "cut", server, wire[:n], core.ErrShort)
		}
		o := opens(t, server, wire)
		reply, err := o.Session.AppendPacket(nil, nil, addr(t, "a:443"))
		if err != nil {
			t.Fatal(err)
		}
		for n := range reply {
			if _, _, err := p.OpenPacket(bytes.Clone(reply[:n])); !errors.Is(err, core.ErrShort) {
				t.Errorf("reply cut at %d: got %v, want core.ErrShort", n, err)
			}
		}
		if _, _, err := p.OpenPacket(reply); err != nil {
			t.Errorf("the smallest reply: %v", err)
		}
	})
}
