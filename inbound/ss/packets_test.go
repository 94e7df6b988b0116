package ss

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// streamOnly is a cipher without UDP.
type streamOnly struct{ core.Cipher }

func TestNewModes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		mode    option.Mode
		old     bool // the cipher protects no UDP
		packets bool
		key     string // of the error
	}{
		{"nothing said", "", false, true, ""},
		{"both", "both", false, true, ""},
		{"tcp", "tcp", false, false, ""},
		{"udp", "udp", false, true, ""},
		{"tcp, a method without UDP", "tcp", true, false, ""},
		{"udp, a method without UDP", "udp", true, false, "mode"},
		{"both, a method without UDP", "", true, false, "mode"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c core.Cipher = newCipher(t)
			if tc.old {
				c = streamOnly{c}
			}
			o := options(t, "127.0.0.1:8388")
			o.Mode = tc.mode
			in, err := New(env(c), o)
			if tc.key != "" {
				bad, ok := errors.AsType[*core.OptionError](err)
				if !ok || bad.Key != tc.key || !strings.Contains(err.Error(), `add mode = "tcp"`) {
					t.Errorf("got %v, %v, want an error for %s that tells the way out", in, err, tc.key)
				}
				return
			}
			p, ok := in.(core.PacketInbound)
			if err != nil || !ok || p.ServesPackets() != tc.packets {
				t.Errorf("got %v, %v, want an inbound that serves UDP: %t", in, err, tc.packets)
			}
			if _, alone := in.(*inbound.PacketServer); alone != (tc.mode == "udp") {
				t.Errorf("got %T, want the half for UDP alone: %t", in, tc.mode == "udp")
			}
		})
	}
}

// packetEcho is a handler that sends back what comes, and counts associations.
type packetEcho struct {
	fakePipeline
	mu     sync.Mutex
	opened int // guarded by mu
}

func (e *packetEcho) HandlePackets(_ context.Context, r *core.Request, p core.PendingPackets, _ func()) core.Association {
	e.mu.Lock()
	e.opened++
	e.mu.Unlock()
	conn, err := p.Accept()
	if err != nil {
		return nil
	}
	r.Flow.OnCut(func() { conn.Close() })
	conn.Receive(func(ps []core.Packet) { _, _ = conn.WritePackets(ps) }) // the client sees what is missing
	return nil
}

// A datagram under the key is served and answered under it; noise, and what was
// recorded of a request or of an answer, is met by silence.
func TestPacketsServed(t *testing.T) {
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := free.LocalAddr().(*net.UDPAddr).AddrPort()
	free.Close()
	o := options(t, at.String())
	o.Mode = "udp"
	in, err := New(env(newCipher(t)), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := new(packetEcho)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := in.Serve(context.Background(), h); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	defer serving.Wait()
	defer in.Shutdown(context.Background())

	client, err := core.PacketCipher(newCipher(t)).NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	to := core.AddrFrom(netip.MustParseAddrPort("192.0.2.1:53"))
	say := func(wire []byte) {
		t.Helper()
		if _, err := conn.Write(wire); err != nil {
			t.Fatal(err)
		}
	}
	var recorded [][]byte
	for _, text := range []string{"one", "two", "three"} {
		for _, bad := range append(recorded, nil, noise(10), noise(48), noise(1400)) {
			say(bad)
		}
		wire, err := client.AppendPacket(nil, []byte(text), to)
		if err != nil {
			t.Fatal(err)
		}
		say(wire)
		b := make([]byte, 2000)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		recorded = append(recorded, wire, bytes.Clone(b[:n]))
		payload, source, err := client.OpenPacket(b[:n])
		if err != nil || string(payload) != text || source != to {
			t.Fatalf("got %q from %v, %v, want %q from %v, and nothing before it", payload, source, err, text, to)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.opened != 1 {
		t.Errorf("associations: got %d, want 1", h.opened)
	}
}
