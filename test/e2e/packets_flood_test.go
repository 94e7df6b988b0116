package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// moreThanASecond is the time after which a server counts a client that continues to send as an
// established conversation.
const moreThanASecond = 1050 * time.Millisecond

// converse exchanges datagrams until the server counts the client as established: the client was
// answered, and has sent more a second later.
func converse(t testing.TB, a *association, target *packetTarget) {
	t.Helper()
	a.exchange(t, target.addr, "hello")
	began := time.Now()
	tick := time.NewTicker(moreThanASecond / 10)
	defer tick.Stop()
	for n := 0; time.Since(began) < moreThanASecond; n++ {
		<-tick.C
		a.exchange(t, target.addr, fmt.Sprint("still here ", n))
	}
	a.exchange(t, target.addr, "a conversation by now")
}

// TestPacketsFlood sends one datagram from each of many forged client addresses with a valid key: the
// forged sessions replace each other, not established ones, and the number of the server's descriptors
// stays limited.
func TestPacketsFlood(t *testing.T) {
	t.Parallel()
	const sessions, clients, window = 64, 2000, 50
	server := peer.FreePort(t)
	umbra := run(t, with(serverFile(server, method), "[inbound.ss]", fmt.Sprintf("max_sessions = %d", sessions)), server)
	umbra.WaitPackets(t, server)
	a, target, sink := associate(t, umbraLocal(t, method, server)), newEcho(t, "127.0.0.1"), newSink(t, "127.0.0.1")
	base := umbra.Descriptors(t)
	converse(t, a, target)

	client, to, most := packetClient(t, method), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer.Addr(server))), 0
	for i := range clients {
		forged := net.UDPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}
		socket, err := net.DialUDP("udp", &forged, to)
		if err != nil {
			t.Fatal(err)
		}
		_, err = socket.Write([]byte(sealed(t, client, sink.addr, fmt.Sprint("of client ", i))))
		socket.Close()
		if err != nil {
			t.Fatal(err)
		}
		if i%window == window-1 {
			a.exchange(t, target.addr, fmt.Sprint("after client ", i))
			most = max(most, umbra.Descriptors(t))
		}
	}
	// At the limit, old sessions are removed and no new one is refused.
	await(t, "every client's datagram to reach its target", func() bool { return len(sink.all()) == clients })
	// The sessions' sockets, their pollers, and one session that is being removed.
	if room := sessions + 8; most > base+room {
		t.Errorf("the server had %d descriptors open, %d before the flood, want at most %d more", most, base, room)
	}
	if got := target.from(); len(got) != 1 {
		t.Errorf("the target saw the sources %v of the working client, want one", got)
	}
	quietLog(t, umbra, "a bound is reached inbound=ss")
}

// TestPacketsAmplification answers one datagram with many: a client gets ten times the bytes that it
// sent and at most 8 KiB, because its address may be forged. An established client gets all of them.
func TestPacketsAmplification(t *testing.T) {
	t.Parallel()
	const size, count = 1000, 50
	a, target := associate(t, umbraLocal(t, method, umbraServer(t, method))), listenPackets(t, "127.0.0.1")
	ask := func(request string) (client netip.AddrPort) {
		t.Helper()
		a.send(t, target.LocalAddr().String(), request)
		got, client := readPacket(t, target)
		if got != request {
			t.Fatalf("the target got %s, want %q", summary(got), request)
		}
		return client
	}
	flood := func(client netip.AddrPort) {
		t.Helper()
		for i := range count {
			writePacket(t, target, client, pattern(size, uint64(i)))
		}
	}
	const first = "to be answered with much"
	flood(ask(first))
	<-time.After(moreThanASecond) // only elapsed time distinguishes a conversation from a recording
	writePacket(t, target, ask("still here"), "that was all")
	overhead := hopOverhead(t, method)
	if got, want := a.until(t, "that was all"), (10*(len(first)+overhead)+8<<10)/(size+overhead); got != want {
		t.Errorf("a client that sent one datagram got %d answers, want %d", got, want)
	}
	client := ask("a conversation by now")
	flood(client)
	writePacket(t, target, client, "that was all")
	if got := a.until(t, "that was all"); got != count {
		t.Errorf("a conversation got %d answers, want all %d", got, count)
	}
}

// TestPacketsMost opens more associations than the limit of a proxy: those above the limit are refused,
// and an association is accepted again when another ends.
func TestPacketsMost(t *testing.T) {
	t.Parallel()
	const most = 10
	proxy := peer.FreePort(t)
	umbra := run(t, with(directFile(proxy), "[inbound.socks5]", fmt.Sprintf("max_sessions = %d", most)), proxy)
	target := newEcho(t, "127.0.0.1")
	var all []*association
	for range most {
		all = append(all, associate(t, proxy))
	}
	for range 3 {
		var refused replyError
		if _, err := openAssociation(peer.Addr(proxy), nowhere); !errors.As(err, &refused) || refused != 1 {
			t.Errorf("one more association: got %v, want %v", err, replyError(1))
		}
	}
	for _, a := range all {
		a.exchange(t, target.addr, "hello")
	}
	all[0].Close()
	umbra.WaitNoPackets(t, int(all[0].relay.Port()))
	associate(t, proxy).exchange(t, target.addr, "there is room again")
}

// TestPacketsIdle leaves an association idle for the idle timeout: the association and its control
// connection end, and one that is in use continues.
func TestPacketsIdle(t *testing.T) {
	t.Parallel()
	server, proxy := peer.FreePort(t), peer.FreePort(t)
	far := run(t, with(serverFile(server, method), "[pipeline.server]", "idle_timeout = \"2s\""), server)
	near := run(t, with(localFile(proxy, method, server), "[pipeline.local]", "idle_timeout = \"2s\""), proxy)
	far.WaitPackets(t, server)
	target := newEcho(t, "127.0.0.1")
	idle, used := associate(t, proxy), associate(t, proxy)
	idle.exchange(t, target.addr, "hello")
	for _, port := range []uint16{idle.relay.Port(), target.from()[0].Port()} {
		near.Until(t, fmt.Sprint("let go of the port ", port), func() bool {
			used.exchange(t, target.addr, "still here")
			return !peer.TakesPackets(int(port))
		})
	}
	_ = idle.control.SetReadDeadline(soon())
	if n, err := idle.control.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the control connection of the idle association read %d bytes and %v, want its end", n, err)
	}
	used.exchange(t, target.addr, "still here at last")
	if got := target.from(); len(got) != 2 {
		t.Errorf("the target saw the sources %v, want one of each association", got)
	}
}
