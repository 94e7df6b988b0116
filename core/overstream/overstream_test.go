package overstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestForms compares headers and datagrams with the tables of the protocol's description.
func TestForms(t *testing.T) {
	if got, want := string(appendRequest(nil, coretest.Addr(t, "127.0.0.1:53"))), "\x00\x01\x7f\x00\x00\x01\x00\x35"; got != want {
		t.Errorf("request: got %x, want %x", got, want)
	}
	for _, tc := range []struct{ to, want string }{
		{"127.0.0.1:53", "\x00\x7f\x00\x00\x01\x00\x35\x00\x06packet"},
		{"[2001:db8::1]:443", "\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb\x00\x06packet"},
		{"a.test:1", "\x02\x06a.test\x00\x01\x00\x06packet"},
	} {
		p := core.Packet{Addr: coretest.Addr(t, tc.to), Data: []byte("packet")}
		frame := appendFrame(nil, p, false)
		if string(frame) != tc.want {
			t.Errorf("%s: got %x, want %x", tc.to, frame, tc.want)
		}
		got, n, err := parseFrame(append(frame, "next"...), core.Addr{})
		if err != nil || n != len(frame) || got.Addr != p.Addr || string(got.Data) != "packet" {
			t.Errorf("%s: parsed %v, %d, %v", tc.to, got, n, err)
		}
		for cut := range frame {
			if _, _, err := parseFrame(frame[:cut], core.Addr{}); !errors.Is(err, core.ErrShort) {
				t.Errorf("%s, cut at %d: got %v, want core.ErrShort", tc.to, cut, err)
			}
		}
	}
	if got := appendFrame(nil, core.Packet{Data: []byte("x")}, true); string(got) != "\x00\x01x" {
		t.Errorf("one target: got %x", got)
	}
	for text, want := range map[string]string{
		"\x01\x01\x7f\x00\x00\x01\x00\x35": "127.0.0.1:53", "\x00\x01\x7f\x00\x00\x01\x00\x35": "", "\x01\x03\x06a.test\x00\x01": "a.test:1",
	} {
		to, n, err := parseRequest([]byte(text + "rest"))
		if got := to; err != nil || n != len(text) || got.IsValid() && got.String() != want || !got.IsValid() && want != "" {
			t.Errorf("%x: got %v, %d, %v, want %s", text, to, n, err, want)
		}
	}
	for _, bad := range []string{"\x02\x01\x7f\x00\x00\x01\x00\x35", "\x00\x05"} {
		if _, _, err := parseRequest([]byte(bad)); !errors.Is(err, core.ErrMalformed) {
			t.Errorf("%x: got %v, want core.ErrMalformed", bad, err)
		}
	}
	if _, _, err := parseFrame([]byte("\x03\x06a.test\x00\x01\x00\x00"), core.Addr{}); !errors.Is(err, core.ErrAddrType) {
		t.Errorf("a type of SOCKS5 before a datagram: got %v", err)
	}
	for name, want := range map[string]int{"sp.v2.udp-over-tcp.arpa": 2, "sp.udp-over-tcp.arpa": 1, "www.test": 0} {
		if got := Version(coretest.Addr(t, name+":0")); got != want {
			t.Errorf("%s: got version %d, want %d", name, got, want)
		}
	}
}

// FuzzFrames reads what a peer may send: it never panics, and what it takes it writes again.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x7f\x00\x00\x01\x00\x35\x00\x06packet"))
	f.Add([]byte("\x02\x06a.test\x00\x01\x00\x00"))
	f.Add([]byte("\x01\x03\x06a.test\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, n, err := parseFrame(b, core.Addr{}); err == nil {
			again, m, err := parseFrame(appendFrame(nil, p, false), core.Addr{})
			if err != nil || again.Addr != p.Addr || !bytes.Equal(again.Data, p.Data) || n > len(b) || m == 0 {
				t.Errorf("%x: got %v, %v", b, again, err)
			}
		}
		if _, n, err := parseRequest(b); err == nil && n > len(b) {
			t.Errorf("%x: got %d bytes", b, n)
		}
	})
}

// pair returns a client and a server that are joined by a stream, and their flows.
func pair(t testing.TB, queue int) (client, server core.PacketConn, flows [2]*core.Flow) {
	t.Helper()
	near, far := coretest.Pipe()
	flows = [2]*core.Flow{new(core.Flow), new(core.Flow)}
	client = NewClient(Options{Flow: flows[0], Queue: queue, Timeout: time.Minute}, func(_ context.Context, first []byte) (core.Stream, error) {
		_, err := near.Write(first)
		return near, err
	})
	first := core.Packet{Addr: coretest.Addr(t, "192.0.2.1:1"), Data: []byte("first")}
	if n, err := client.WritePackets([]core.Packet{first}); n != 1 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	a, err := Accept(far, Target(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return client, a.Conn(Options{Flow: flows[1], Queue: queue}), flows
}

// gather queues what a connection receives.
func gather(c core.PacketConn) chan string {
	got := make(chan string, 4096)
	c.Receive(func(ps []core.Packet) {
		for _, p := range ps {
			got <- p.Addr.String() + " " + string(p.Data)
			clear(p.Data)
		}
	})
	return got
}

// TestBothWays sends datagrams of all sizes and sorts of addresses both ways.
func TestBothWays(t *testing.T) {
	client, server, _ := pair(t, 1<<20)
	defer client.Close()
	defer server.Close()
	atServer, atClient := gather(server), gather(client)
	if got := coretest.Await(t, "the first datagram", atServer); got != "192.0.2.1:1 first" {
		t.Errorf("got %.40q", got)
	}
	for _, size := range []int{0, 1, 1400, 5000, 65507} {
		for _, to := range []string{"192.0.2.9:53", "[2001:db8::9]:53", "a.name.test:53"} {
			p := core.Packet{Addr: coretest.Addr(t, to), Data: []byte(strings.Repeat("x", size))}
			want := to + " " + string(p.Data)
			for _, way := range []struct {
				from core.PacketConn
				to   chan string
			}{{client, atServer}, {server, atClient}} {
				if n, err := way.from.WritePackets([]core.Packet{p}); n != 1 || err != nil {
					t.Fatalf("got %d, %v", n, err)
				}
				if got := coretest.Await(t, "a datagram", way.to); got != want {
					t.Errorf("got %.60q, want %.60q", got, want)
				}
			}
		}
	}
	if n, err := client.WritePackets([]core.Packet{{Addr: coretest.Addr(t, "192.0.2.1:1"), Data: make([]byte, 70000)}}); n != 0 || err != nil {
		t.Errorf("too long: got %d, %v", n, err)
	}
}

// TestVersions accepts a client of each form.
func TestVersions(t *testing.T) {
	for _, tc := range []struct{ name, target, sent, want, answer string }{
		{"version 1", "sp.udp-over-tcp.arpa:0", "\x00\x7f\x00\x00\x01\x00\x35\x00\x01x", "127.0.0.1:53 x", "\x00\xc0\x00\x02\x01\x00\x01\x00\x01y"},
		{"version 2", "sp.v2.udp-over-tcp.arpa:0", "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x7f\x00\x00\x01\x00\x35\x00\x01x", "127.0.0.1:53 x", "\x00\xc0\x00\x02\x01\x00\x01\x00\x01y"},
		{"version 2, one target", "sp.v2.udp-over-tcp.arpa:0", "\x01\x03\x06a.test\x00\x35\x00\x01x", "a.test:53 x", "\x00\x01y"},
	} {
		for _, at := range []int{0, 1, 5, len(tc.sent)} { // how much came with the request
			near, far := coretest.Pipe()
			go func() { _, _ = near.Write([]byte(tc.sent[at:])) }()
			a, err := Accept(far, coretest.Addr(t, tc.target), []byte(tc.sent[:at]))
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", tc.name, at, err)
			}
			c := a.Conn(Options{Flow: new(core.Flow), Queue: 1 << 16})
			if got := coretest.Await(t, "a datagram", gather(c)); got != tc.want {
				t.Errorf("%s, %d bytes: got %q, want %q", tc.name, at, got, tc.want)
			}
			_, _ = c.WritePackets([]core.Packet{{Addr: core.NewIPAddr(netip.MustParseAddr("192.0.2.1"), 1), Data: []byte("y")}})
			coretest.Read(t, near, []byte(tc.answer))
			c.Close()
			near.Close()
		}
	}
}

// TestEnds has the stream end, in order and in the middle of a datagram, and bring garbage.
func TestEnds(t *testing.T) {
	for _, tc := range []struct {
		name, sent string
		want       error
	}{
		{"in order", "", io.EOF}, {"in the middle", "\x00\x7f\x00", io.ErrUnexpectedEOF}, {"garbage", "\x09", core.ErrMalformed},
	} {
		near, far := coretest.Pipe()
		a, err := Accept(far, coretest.Addr(t, "sp.udp-over-tcp.arpa:0"), nil)
		if err != nil {
			t.Fatal(err)
		}
		flow := new(core.Flow)
		c := a.Conn(Options{Flow: flow, Queue: 1 << 16})
		causes := make(chan error, 1)
		flow.OnCut(func() { causes <- flow.Cause() })
		c.Receive(func([]core.Packet) {})
		_, _ = near.Write([]byte(tc.sent))
		_ = near.CloseWrite()
		if err := coretest.Await(t, "the end", causes); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
		c.Close()
		near.Close()
	}
}

// TestNotOpened has a stream that can't be opened, and one that takes too long.
func TestNotOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, open := range map[string]Open{
			"refused": func(context.Context, []byte) (core.Stream, error) { return nil, errors.New("refused") },
			"silent":  func(ctx context.Context, _ []byte) (core.Stream, error) { <-ctx.Done(); return nil, ctx.Err() },
		} {
			flow := new(core.Flow)
			c := NewClient(Options{Flow: flow, Queue: 1 << 16, Timeout: 10 * time.Second}, open)
			c.Receive(func([]core.Packet) {})
			if n, err := c.WritePackets([]core.Packet{{Addr: coretest.Addr(t, "192.0.2.1:1"), Data: []byte("x")}}); n != 1 || err != nil {
				t.Errorf("%s: got %d, %v", name, n, err)
			}
			time.Sleep(11 * time.Second)
			if !core.IsUnopened(flow.Cause()) {
				t.Errorf("%s: got the cause %v", name, flow.Cause())
			}
			c.Close()
		}
	})
}

// TestFullQueue writes to a stream that nobody reads: nothing waits, and what there is no
// room for is counted.
func TestFullQueue(t *testing.T) {
	client, server, flows := pair(t, 1<<16)
	defer client.Close()
	defer server.Close()
	ps := make([]core.Packet, 64)
	taken, all := 0, 0
	for range 2000 {
		for i := range ps {
			ps[i] = core.Packet{Addr: coretest.Addr(t, "192.0.2.1:1"), Data: make([]byte, 1000)}
		}
		n, err := client.WritePackets(ps)
		if err != nil {
			t.Fatal(err)
		}
		taken += n
		all += len(ps)
	}
	ds := flows[0].TakeDropped()
	if taken == all || len(ds) != 1 || ds[0].Reason != core.DropFull || ds[0].Count != all-taken {
		t.Errorf("got %d of %d taken, and the drops %v", taken, all, ds)
	}
}

// TestAnswerBeforeReceive has a server answer before it is ready to receive, as a stray
// datagram at its socket makes it: the client's datagrams are received all the same.
func TestAnswerBeforeReceive(t *testing.T) {
	client, server, _ := pair(t, 1<<16)
	defer client.Close()
	defer server.Close()
	answers := gather(client)
	if n, err := server.WritePackets([]core.Packet{{Addr: coretest.Addr(t, "192.0.2.1:1"), Data: []byte("stray")}}); n != 1 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if got := <-answers; got != "192.0.2.1:1 stray" {
		t.Errorf("got %s", got)
	}
	select {
	case got := <-gather(server):
		if got != "192.0.2.1:1 first" {
			t.Errorf("got %s", got)
		}
	case <-time.After(5 * time.Second):
		t.Error("the client's datagram was not received")
	}
}

// TestLongFirst sends a long burst at once to a server that reads nothing: the stream is
// opened with a part of it, and closed with the connection.
func TestLongFirst(t *testing.T) {
	near, far := coretest.Pipe()
	defer far.Close()
	sent := make(chan int, 1)
	c := NewClient(Options{Flow: new(core.Flow), Queue: Queue, Timeout: time.Minute}, func(_ context.Context, first []byte) (core.Stream, error) {
		sent <- len(first)
		return near, nil
	})
	c.Receive(func([]core.Packet) {})
	ps := make([]core.Packet, 60)
	for i := range ps {
		ps[i] = core.Packet{Addr: coretest.Addr(t, "192.0.2.1:1"), Data: make([]byte, 4000)}
	}
	if n, err := c.WritePackets(ps); n != len(ps) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if n := <-sent; n > maxHeader+maxFirst {
		t.Errorf("the request has %d bytes", n)
	}
	c.Close()
}
