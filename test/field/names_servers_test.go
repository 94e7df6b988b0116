package field

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/test/peer"
)

// Types of DNS queries and response codes.
const (
	typeA, typeAAAA = 1, 28
	noError         = 0
	nxDomain        = 3
	refused         = 5
)

// nameServer is a DNS server on 127.0.0.1 that answers as its function says. A nil answer
// is silence.
type nameServer struct {
	port int

	mu    sync.Mutex
	asked []string // guarded by mu
}

// newNameServer starts one on a port, or on a free one if port is 0. answer returns the
// response code and the addresses of a name; ok is false for silence.
func newNameServer(t testing.TB, ip string, port int, answer func(name string, kind uint16) (rcode byte, ips []net.IP, ok bool)) *nameServer {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{port: conn.LocalAddr().(*net.UDPAddr).Port}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil || n < 12 {
				continue
			}
			if msg := s.answer(buf[:n], answer); msg != nil {
				_, _ = conn.WriteToUDP(msg, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return s
}

// answer returns the answer to a query.
func (s *nameServer) answer(query []byte, answer func(string, uint16) (byte, []net.IP, bool)) []byte {
	var labels []string
	at := 12
	for at < len(query) && query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	name, kind := strings.ToLower(strings.Join(labels, ".")), binary.BigEndian.Uint16(query[at+1:])
	s.mu.Lock()
	s.asked = append(s.asked, name)
	s.mu.Unlock()
	rcode, ips, ok := answer(name, kind)
	if !ok {
		return nil
	}
	msg := append([]byte(nil), query[:at+5]...)
	msg[2], msg[3] = 0x81, 0x80|rcode
	binary.BigEndian.PutUint16(msg[6:], uint16(len(ips)))
	clear(msg[8:12])
	for _, ip := range ips {
		if four := ip.To4(); four != nil {
			ip = four
		}
		msg = append(msg, 0xC0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(len(ip)))
		msg = append(msg, ip...)
	}
	return msg
}

// TestOneFamily has name servers that drop, or refuse, what is asked for IPv6, or for all.
// A name that has an IPv4 address is reached by each way of asking; a failed lookup is
// the reply 4 of SOCKS5 and not 5, as of a target that refused.
func TestOneFamily(t *testing.T) {
	t.Parallel()
	echo := listenEcho(t)
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	for i, tc := range []struct {
		name   string
		answer func(name string, kind uint16) (byte, []net.IP, bool)
		rep    byte
	}{
		{"IPv6 dropped", func(_ string, kind uint16) (byte, []net.IP, bool) { return noError, loopback, kind == typeA }, 0},
		{"IPv6 refused", func(_ string, kind uint16) (byte, []net.IP, bool) {
			if kind == typeA {
				return noError, loopback, true
			}
			return refused, nil, true
		}, 0},
		{"no such name for IPv6", func(_ string, kind uint16) (byte, []net.IP, bool) {
			if kind == typeA {
				return noError, loopback, true
			}
			return nxDomain, nil, true
		}, 0},
		{"all refused", func(string, uint16) (byte, []net.IP, bool) { return refused, nil, true }, 4},
		{"no such name", func(string, uint16) (byte, []net.IP, bool) { return nxDomain, nil, true }, 4},
	} {
		ip := fmt.Sprintf("127.53.0.%d", i+1) // a server of the system is on port 53
		for way, file := range map[string]func(port, server int) string{
			"system": func(port, _ int) string { return socksFile(port, "", "") },
			"dns": func(port, server int) string {
				return socksFile(port, `"resolver.dns", `, fmt.Sprintf("[resolver.dns]\nservers = [\"%s:%d\"]\n", ip, server))
			},
		} {
			t.Run(way+", "+tc.name, func(t *testing.T) {
				t.Parallel()
				server, before := 0, []string(nil)
				if way == "system" {
					before = ownHosts(t, "127.0.0.1 localhost\n", "nameserver "+ip+"\n")
					server = 53
				}
				s := newNameServer(t, ip, server, tc.answer)
				port := peer.FreePort(t)
				runBy(t, before, file(port, s.port), port)
				for _, name := range []string{"one.example", "two.example"} {
					if _, rep := dialSOCKS(t, port, 1, fmt.Sprintf("%s:%d", name, echo)); rep != tc.rep {
						t.Errorf("%s: got the reply %d, want %d", name, rep, tc.rep)
					}
				}
			})
		}
	}
}

// TestNoNameServer has a name server on whose port nothing listens: the lookup fails, and
// the target did not refuse.
func TestNoNameServer(t *testing.T) {
	t.Parallel()
	for way, file := range map[string]func(port int) string{
		"udp": func(port int) string {
			return socksFile(port, `"resolver.dns", `, fmt.Sprintf("[resolver.dns]\nservers = [%q]\n", peer.Addr(peer.FreePort(t))))
		},
		"tcp": func(port int) string {
			return socksFile(port, `"resolver.dns", `, fmt.Sprintf("[resolver.dns]\nservers = [%q]\n", "tcp://"+peer.Addr(peer.FreePort(t))))
		},
		"denied": func(port int) string {
			return socksFile(port, `"resolver.dns", `, "[resolver.dns]\nservers = [\"10.0.0.1\"]\nvia = \"direct\"\n")
		},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			port := peer.FreePort(t)
			run(t, file(port), port)
			if _, rep := dialSOCKS(t, port, 1, "web.example:80"); rep != 4 {
				t.Errorf("got the reply %d, want 4", rep)
			}
		})
	}
}

// TestPacketsToManyNames sends one burst of datagrams to 32 names that are new: none is
// lost, however slow the name server is, as with other proxies.
func TestPacketsToManyNames(t *testing.T) {
	t.Parallel()
	const names = 32
	var mu sync.Mutex
	asked := map[string]bool{}
	s := newNameServer(t, "127.0.0.1", 0, func(name string, kind uint16) (byte, []net.IP, bool) {
		mu.Lock()
		defer mu.Unlock()
		asked[name] = true
		if kind == typeA && len(asked) == names { // the last one; the others are asked again
			return noError, []net.IP{net.IPv4(127, 0, 0, 1)}, true
		}
		return noError, nil, kind == typeAAAA
	})
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_ = udp.SetReadDeadline(time.Now().Add(patience))
	port := peer.FreePort(t)
	run(t, socksFile(port, `"resolver.dns", `, fmt.Sprintf("[resolver.dns]\nservers = [\"127.0.0.1:%d\"]\ntimeout = \"5s\"\n", s.port)), port)
	c := associate(t, port)
	for i := range names {
		to, err := core.NewAddr(fmt.Sprintf("tracker%d.example", i), uint16(udp.LocalAddr().(*net.UDPAddr).Port))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(append(socksaddr.Append([]byte{0, 0, 0}, to), fmt.Sprint(i)...)); err != nil {
			t.Fatal(err)
		}
	}
	came := map[string]bool{}
	buf := make([]byte, 100)
	for len(came) < names {
		n, _, err := udp.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%d of %d datagrams came: %v", len(came), names, err)
		}
		came[string(buf[:n])] = true
	}
}
