package socks

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/inbound"
)

// associateAny asks for an association without saying from where.
const associateAny = "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"

func addr(t testing.TB, s string) core.Addr {
	t.Helper()
	a, err := core.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Datagrams are taken from the client's address alone, and from one port: the one
// that it named, if it could know it, or the first that comes.
func TestAssociatePins(t *testing.T) {
	const v4, v6 = "192.0.2.1", "2001:db8::1"
	for _, tc := range []struct {
		name          string
		client, named string
		from          string // in order; one that must be refused has a minus before it
	}{
		{"nothing named", v4, "0.0.0.0:0", "192.0.2.1:1000 -192.0.2.1:1001 192.0.2.1:1000 -192.0.2.1:1001"},
		{"another address first", v4, "0.0.0.0:0", "-192.0.2.2:1000 -[2001:db8::1]:1000 192.0.2.1:1000"},
		{"its port", v4, "0.0.0.0:1000", "-192.0.2.1:1001 192.0.2.1:1000 -192.0.2.1:1001"},
		{"its port, by IPv6", v4, "[::]:1000", "-192.0.2.1:1001 192.0.2.1:1000"},
		{"its address and port", v4, "192.0.2.1:1000", "-192.0.2.1:1001 -192.0.2.2:1000 192.0.2.1:1000"},
		{"its address alone", v4, "192.0.2.1:0", "192.0.2.1:1001 -192.0.2.1:1000"},
		{"an address behind a NAT", v4, "10.0.0.1:1000", "-10.0.0.1:1000 192.0.2.1:1001 -192.0.2.1:1000"},
		{"a name", v4, "client.test:1000", "192.0.2.1:1001 -192.0.2.1:1000"},
		{"IPv6", v6, "[2001:db8::1]:1000", "-[2001:db8::1]:1001 -[2001:db8::2]:1000 [2001:db8::1]:1000"},
		{"a zone", "fe80::1%eth0", "[::]:0", "-[fe80::2%2]:1000 [fe80::1%2]:1000 -[fe80::1%2]:1001"},
		{"a zone, address named", "fe80::1%eth0", "[fe80::1]:1000", "-[fe80::1%2]:1001 [fe80::1%2]:1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAssociate(new(handshaker), nil, netip.MustParseAddr(tc.client), addr(t, tc.named))
			for i, from := range strings.Fields(tc.from) {
				from, refused := strings.CutPrefix(from, "-")
				if got := a.isClient(netip.MustParseAddrPort(from)); got == refused {
					t.Errorf("datagram %d from %s: got %t, want %t", i, from, got, !refused)
				}
			}
		})
	}
}

// What is not served is refused as a command. An association may be asked for with
// port 0: its client need not know where it will send from.
func TestHandshakeModes(t *testing.T) {
	for _, tc := range []struct {
		mode               option.Mode
		connect, associate bool
	}{
		{"", true, true}, {"both", true, true}, {"tcp", true, false}, {"udp", false, true},
	} {
		for name, request := range map[string]string{"CONNECT": toIPv4, "UDP ASSOCIATE": associateAny} {
			served := tc.connect && name == "CONNECT" || tc.associate && name == "UDP ASSOCIATE"
			t.Run(string(tc.mode)+" "+name, func(t *testing.T) {
				conn := &script{reads: whole([]byte(hello + request))}
				h := &handshaker{mode: tc.mode}
				var asked coretest.Asked
				err := h.Handshake(t.Context(), conn, core.Client{}, &asked)
				if served {
					r, stream, packets := asked.Request, asked.Pending != nil, asked.PendingPackets != nil
					if err != nil || stream != (name == "CONNECT") || packets == stream {
						t.Errorf("got %v, stream %t, packets %t, want one of them", err, stream, packets)
					}
					if packets && (r.Target.IsValid() || r.Flow == nil || r.Payload != nil) {
						t.Errorf("got %+v, want no target, a flow, no payload", r)
					}
					return
				}
				want := "request: " + name + " is not served: denied"
				if !errors.Is(err, core.ErrDenied) || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
				h.Fail(conn, time.Now().Add(time.Minute), err)
				if got := string(conn.wrote); got != "\x05\x00"+reply(7) {
					t.Errorf("wrote %x, want %x", got, "\x05\x00"+reply(7))
				}
			})
		}
	}
}

func TestAppendReplyAt(t *testing.T) {
	for _, tc := range []struct{ bound, want string }{
		{"192.0.2.7:4711", "x\x05\x00\x00\x01\xc0\x00\x02\x07\x12\x67"},
		{"[2001:db8::1]:4711", "x\x05\x00\x00\x04\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01\x12\x67"},
	} {
		if got := string(appendReplyAt([]byte("x"), socksaddr.RepSuccess, addr(t, tc.bound))); got != tc.want {
			t.Errorf("%s: got %x, want %x", tc.bound, got, tc.want)
		}
	}
}

// quota returns a quota of associations.
func quota(t testing.TB, most, perClient int) *inbound.Quota {
	t.Helper()
	return inbound.KeepQuota(coretest.Env(t), inbound.Options{MaxSessions: most, ClientSessions: perClient})
}

// asked is a client that asked for an association over loopback.
type asked struct {
	*associate
	control *net.TCPConn // the client's end
	request *core.Request
}

// ask asks for an association and reads the answers up to the reply.
func ask(t *testing.T, h *handshaker, request string) *asked {
	t.Helper()
	client, conn := tcpPair(t)
	if err := client.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, hello+request); err != nil {
		t.Fatal(err)
	}
	from := client.LocalAddr().(*net.TCPAddr).AddrPort()
	var got coretest.Asked
	if err := h.Handshake(t.Context(), conn, core.Client{Addr: from}, &got); err != nil {
		t.Fatal(err)
	}
	tell(t, client, "", "\x05\x00")
	return &asked{associate: got.PendingPackets.(*associate), control: client, request: got.Request}
}

// accept accepts it and returns where its datagrams are to go.
func (a *asked) accept(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := a.Accept()
	if err != nil || conn != core.PacketConn(a.associate) {
		t.Fatalf("accept: got %v, %v, want the association", conn, err)
	}
	t.Cleanup(func() { conn.Close() })
	tell(t, a.control, "", "\x05\x00\x00\x01\x7f\x00\x00\x01")
	port := make([]byte, 2)
	if _, err := io.ReadFull(a.control, port); err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port[0])<<8|uint16(port[1]))
	if at != a.socket.Addr() {
		t.Errorf("the reply: got %v, want %v", at, a.socket.Addr())
	}
	return at
}

// The reply tells udp_address in place of the socket's own, with the socket's port.
func TestAssociateTellsAddress(t *testing.T) {
	for _, told := range []string{"192.0.2.9", "2001:db8::9"} {
		a := ask(t, &handshaker{quota: quota(t, 1, 1), told: netip.MustParseAddr(told)}, associateAny)
		conn, err := a.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		want := appendReplyAt(nil, socksaddr.RepSuccess, core.NewIPAddr(netip.MustParseAddr(told), conn.(*associate).socket.Addr().Port()))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(a.control, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("reply: got %x, %v, want %x", got, err, want)
		}
	}
}
