package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestPacketsMalformed sends invalid and unsupported SOCKS5 datagrams to an association. None passes,
// and the association continues.
func TestPacketsMalformed(t *testing.T) {
	proxy, target := umbraDirect(t), newEcho(t, "127.0.0.1")
	addr, err := core.ParseAddr(target.addr)
	if err != nil {
		t.Fatal(err)
	}
	const payload = "must not pass"
	valid := socksaddr.Append([]byte{0, 0, 0}, addr)
	whole := string(valid) + payload
	change := func(at int, to byte) string {
		b := []byte(whole)
		b[at] = to
		return string(b)
	}
	cases := map[string][]string{
		"fragments":      {change(2, 1), change(2, 2), change(2, 0x7f), change(2, 0x80), change(2, 0x81), change(2, 0xff)},
		"reserved field": {change(0, 1), change(1, 1), change(0, 0xff), change(1, 0x80)},
		"address types":  {change(3, 0), change(3, 2), change(3, 5), change(3, 0x11), change(3, 0xff)},
		"port 0":         {string(socksaddr.Append([]byte{0, 0, 0}, core.NewIPAddr(netip.MustParseAddr("127.0.0.1"), 0))) + payload},
		"names": {
			"\x00\x00\x00\x03\x00\x00\x50" + payload, "\x00\x00\x00\x03\x01\x00\x00\x50" + payload,
			"\x00\x00\x00\x03\x02a \x00\x50" + payload, "\x00\x00\x00\x03\xffa" + payload,
		},
	}
	for n := range valid {
		cases["cut off"] = append(cases["cut off"], string(valid[:n]))
	}
	for n := range 9 {
		cases["zeros"] = append(cases["zeros"], string(make([]byte, n)))
		cases["garbage"] = append(cases["garbage"], pattern(n, 0))
	}
	for name, datagrams := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, fresh := associate(t, proxy), associate(t, proxy)
			a.exchange(t, target.addr, "before "+name)
			for i, datagram := range datagrams {
				for _, a := range []*association{a, fresh} {
					writePacket(t, a.socket, a.relay, datagram)
				}
				a.exchange(t, target.addr, fmt.Sprintf("after %s %d", name, i))
			}
			fresh.exchange(t, target.addr, "first after "+name)
			if n := target.times(payload); n > 0 {
				t.Errorf("%d of them passed, want none", n)
			}
		})
	}
}

// TestPacketsRandom sends random bytes to an association, some with a valid beginning.
func TestPacketsRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	proxy := peer.FreePort(t)
	umbra := run(t, directFile(proxy), proxy)
	a, target := associate(t, proxy), newEcho(t, "127.0.0.1")
	for i := range 1000 {
		b := make([]byte, r.IntN(600))
		for at := range b {
			b[at] = byte(r.Uint32())
		}
		if len(b) > 3 && i%2 == 0 {
			// An invalid type: a valid address might be in use.
			copy(b, []byte{0, 0, 0, []byte{0, 2, 5, 0x13, 0x84, 0xff}[r.IntN(6)]})
		} else if len(b) > 2 {
			b[r.IntN(3)] |= 1
		}
		writePacket(t, a.socket, a.relay, string(b))
		if i%20 == 19 {
			a.exchange(t, target.addr, fmt.Sprintf("after %d", i))
		}
	}
	if got, want := len(target.all()), 1000/20; got != want {
		t.Errorf("%d different datagrams passed, want %d", got, want)
	}
	quietLog(t, umbra)
}
