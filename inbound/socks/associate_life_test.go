package socks

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// plain returns a plain UDP socket on loopback that does not hang the test.
func plain(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func say(t *testing.T, c *net.UDPConn, to netip.AddrPort, data string) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte(data), to); err != nil {
		t.Fatal(err)
	}
}

// Datagrams go both ways. What is malformed or another's pins nothing, and answers
// wait for the first datagram.
func TestAssociateExchange(t *testing.T) {
	const head = "\x00\x00\x00\x01\xc0\x00\x02\x07\x00\x35"
	from := addr(t, "192.0.2.7:53")
	a := ask(t, &handshaker{quota: quota(t, 10, 10)}, associateAny)
	at := a.accept(t)
	got := make(chan string, 16)
	a.Receive(func(ps []core.Packet) {
		for _, p := range ps {
			got <- p.Addr.String() + " " + string(p.Data)
		}
	})
	if n, err := a.WritePackets([]core.Packet{{Addr: from, Data: []byte("to nobody")}}); n != 0 || err != nil {
		t.Errorf("write before the first datagram: got %d, %v, want 0, nil", n, err)
	}
	stray, client := plain(t), plain(t)
	for _, bad := range []string{"", "noise", "\x00\x00\x01" + head[3:] + "fragment", "\x00\x00\x00\x01\xc0\x00\x02\x07\x00\x00port 0"} {
		say(t, stray, at, bad)
	}
	say(t, client, at, head+"one")
	if g := coretest.Await(t, "a datagram", got); g != "192.0.2.7:53 one" {
		t.Errorf("got %q, want one to the target", g)
	}
	say(t, stray, at, head+"too late")
	say(t, client, at, head+"two")
	if g := coretest.Await(t, "a datagram", got); g != "192.0.2.7:53 two" {
		t.Errorf("got %q, want two to the target", g)
	}
	if n, err := a.WritePackets([]core.Packet{{Addr: from, Data: []byte("answer")}, {Addr: from}}); n != 2 || err != nil {
		t.Errorf("write: got %d, %v, want 2, nil", n, err)
	}
	for _, want := range []string{head + "answer", head} {
		b := make([]byte, 100)
		n, source, err := client.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != want || source != at {
			t.Errorf("the client: got %q from %v, %v, want %q from %v", b[:n], source, err, want, at)
		}
	}
}

// The end of the control connection, in order or not, is that of the association;
// what comes on it before means nothing.
func TestAssociateControlEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(c *net.TCPConn)
	}{
		{"closed", func(c *net.TCPConn) { c.Close() }},
		{"half closed", func(c *net.TCPConn) { _ = c.CloseWrite() }},
		{"reset", func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() }},
		{"after some bytes", func(c *net.TCPConn) { _, _ = io.WriteString(c, strings.Repeat("x", 1000)); c.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := ask(t, &handshaker{quota: quota(t, 10, 10)}, associateAny)
			a.accept(t)
			ended := make(chan error, 1)
			a.request.Flow.OnCut(func() { ended <- a.request.Flow.Cause() })
			a.Receive(func([]core.Packet) {})
			tc.end(a.control)
			if got := coretest.Await(t, "the end", ended); got != io.EOF {
				t.Errorf("the cause: got %v, want io.EOF", got)
			}
		})
	}
}

// Close ends the control connection and gives back the client's share, once.
func TestAssociateClose(t *testing.T) {
	q := quota(t, 1, 1)
	h := &handshaker{quota: q}
	for range 3 {
		a := ask(t, h, associateAny)
		a.accept(t)
		a.Receive(func([]core.Packet) {})
		for range 2 {
			if err := a.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if n, err := a.control.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the control connection: got %d, %v, want its end", n, err)
		}
		if _, err := a.socket.Send([]netio.Datagram{{Peer: a.socket.Addr(), Data: []byte("x")}}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the socket: got %v, want net.ErrClosed", err)
		}
	}
	if here := netip.MustParseAddr("127.0.0.1"); !q.Take(here) || q.Take(here) {
		t.Error("after all: got another share than the one that there is")
	}
}

// One that can't be had is refused with a reply, and costs no share.
func TestAssociateNotAccepted(t *testing.T) {
	taken := plain(t).LocalAddr().(*net.UDPAddr).AddrPort().Port()
	var ports option.Ports
	if err := ports.UnmarshalText([]byte(fmt.Sprint(taken))); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		ports option.Ports
		most  int
		err   error
		text  string
	}{
		{"too many", option.Ports{}, 0, core.ErrCrowded, "associate: too many at once"},
		{"no port is free", ports, 1, syscall.EADDRINUSE, fmt.Sprintf("associate: no port of udp_ports %d is free: ", taken)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := quota(t, tc.most, 10)
			a := ask(t, &handshaker{quota: q, ports: tc.ports}, associateAny)
			conn, err := a.Accept()
			if conn != nil || !errors.Is(err, tc.err) || !strings.HasPrefix(err.Error(), tc.text) {
				t.Errorf("accept: got %v, %v, want %s…", conn, err, tc.text)
			}
			done := make(chan struct{})
			go func() { defer close(done); a.Reject(err) }()
			if got, err := io.ReadAll(a.control); string(got) != reply(1) || err != nil {
				t.Errorf("the client read %x, %v, want %x", got, err, reply(1))
			}
			a.control.Close()
			<-done
			if tc.most > 0 && !q.Take(netip.MustParseAddr("127.0.0.1")) {
				t.Error("the share is gone")
			}
		})
	}
}

// A client that has gone before the reply costs nothing.
func TestAssociateReplyFails(t *testing.T) {
	q := quota(t, 1, 1)
	a := ask(t, &handshaker{quota: q}, associateAny)
	a.conn.Close()
	if conn, err := a.Accept(); conn != nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: got %v, %v, want nil, net.ErrClosed", conn, err)
	}
	a.Reject(net.ErrClosed) // as the pipeline does
	if !q.Take(netip.MustParseAddr("127.0.0.1")) {
		t.Error("the share is gone")
	}
}

// With udp_ports, associations have those ports, each its own, whichever is free.
func TestAssociatePorts(t *testing.T) {
	low := plain(t) // a range around a port that is taken
	base := low.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	var ports option.Ports
	if err := ports.UnmarshalText([]byte(fmt.Sprintf("%d-%d", base, min(int(base)+7, 65535)))); err != nil {
		t.Fatal(err)
	}
	h := &handshaker{quota: quota(t, 100, 100), ports: ports}
	var used []uint16
	for range 3 {
		a := ask(t, h, associateAny)
		if a.associate.handler.ports.Len() < 8 {
			t.Skip("too few ports above that one")
		}
		port := a.accept(t).Port()
		if port <= base || port > base+7 || slices.Contains(used, port) {
			t.Errorf("port: got %d, want a free one of %s", port, ports)
		}
		used = append(used, port)
	}
}
