package interop

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	shadowsocks "github.com/sagernet/sing-shadowsocks"
	"github.com/sagernet/sing-shadowsocks/shadowaead_2022"
	M "github.com/sagernet/sing/common/metadata"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// pairing is the keys of both ends of a test.
type pairing struct {
	name, method string
	client       string // password of a client
	server       string // password of a server
	user         string // key of the server's one user, or ""
}

func pairings() []pairing {
	const aes128, aes256 = "2022-blake3-aes-128-gcm", "2022-blake3-aes-256-gcm"
	return []pairing{
		{aes128, aes128, psk(16, 'a'), psk(16, 'a'), ""},
		{aes256, aes256, psk(32, 'a'), psk(32, 'a'), ""},
		{"2022-blake3-chacha20-poly1305", "2022-blake3-chacha20-poly1305", psk(32, 'a'), psk(32, 'a'), ""},
		{aes128 + ", identity", aes128, psk(16, 'i') + ":" + psk(16, 'u'), psk(16, 'i'), psk(16, 'u')},
		{aes256 + ", identity", aes256, psk(32, 'i') + ":" + psk(32, 'u'), psk(32, 'i'), psk(32, 'u')},
	}
}

// TestUmbraServer uses the other implementation's client with umbra's server.
func TestUmbraServer(t *testing.T) {
	for _, p := range pairings() {
		t.Run(p.name, func(t *testing.T) {
			target := echoServers(t)
			table := "password = \"" + p.server + "\"\n"
			if p.user != "" {
				table += "users = { alice = \"" + p.user + "\" }\n"
			}
			server := umbraServer(t, p.method, table)
			client, err := shadowaead_2022.NewWithPassword(p.method, p.client, nil)
			if err != nil {
				t.Fatal(err)
			}
			askUmbra(t, client, server, target)
		})
	}
}

// askUmbra reaches target with the other implementation's client through umbra.
func askUmbra(t *testing.T, client shadowsocks.Method, server, target string) {
	t.Helper()
	streamToUmbra(t, client, server, target)
	packetsToUmbra(t, client, server, target)
}

func streamToUmbra(t *testing.T, client shadowsocks.Method, server, target string) {
	t.Helper()
	to := M.ParseSocksaddr(target)
	for _, size := range []int{1, 1000, 300_000} {
		c, err := client.DialConn(dial(t, "tcp", server), to)
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, c, size)
	}
}

func packetsToUmbra(t *testing.T, client shadowsocks.Method, server, target string) {
	t.Helper()
	to := M.ParseSocksaddr(target)
	packets := client.DialPacketConn(dial(t, "udp", server))
	for _, size := range []int{0, 1, 512, 1400} {
		if _, err := packets.WriteTo(pattern(size), to.UDPAddr()); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, core.MaxDatagram)
		n, from, err := packets.ReadFrom(got)
		if err != nil || !bytes.Equal(got[:n], pattern(size)) || from.String() != target {
			t.Fatalf("%d bytes: got %d from %v, %v, want them from %s", size, n, from, err, target)
		}
	}
}

// TestUmbraClient uses umbra with the other implementation's server.
func TestUmbraClient(t *testing.T) {
	for _, p := range pairings() {
		t.Run(p.name, func(t *testing.T) {
			target := echoServers(t)
			table := "password = \"" + p.client + "\"\n"
			askThrough(t, umbraLocal(t, p.method, table, singServer(t, p.method, p.server, p.user)), target)
		})
	}
}

// askThrough reaches target through umbra's SOCKS5 side.
func askThrough(t *testing.T, proxy, target string) {
	t.Helper()
	to, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 1000, 300_000} {
		c := dial(t, "tcp", proxy)
		ask(t, c, 1, to)
		exchange(t, c, size)
	}
	control := dial(t, "tcp", proxy)
	relay := ask(t, control, 3, core.NewIPAddr(to.IP(), 0))
	c := dial(t, "udp", relay.String())
	head := socksaddr.Append([]byte{0, 0, 0}, to)
	for _, size := range []int{1, 512, 1400} { // the other server drops empty datagrams
		want := append(bytes.Clone(head), pattern(size)...)
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, core.MaxDatagram)
		if n, err := c.Read(got); err != nil || !bytes.Equal(got[:n], want) {
			t.Fatalf("%d bytes: got %d, %v, want %d", size, n, err, len(want))
		}
	}
}

func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// exchange sends bytes and reads them back.
func exchange(t *testing.T, c net.Conn, size int) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(pattern(size))
		sent <- err
	}()
	got := make([]byte, size)
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, pattern(size)) {
		t.Fatalf("%d bytes: got %d back, %v", size, n, err)
	}
	if err := <-sent; err != nil {
		t.Fatalf("%d bytes: write: %v", size, err)
	}
}

// ask requests a target from a SOCKS5 proxy and returns the address in its reply.
func ask(t *testing.T, c net.Conn, command byte, target core.Addr) core.Addr {
	t.Helper()
	if _, err := c.Write(socksaddr.Append([]byte{5, 1, 0, 5, command, 0}, target)); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte // both answers, with an IPv4 address
	if _, err := io.ReadFull(c, answer[:]); err != nil || answer[3] != 0 {
		t.Fatalf("socks: got % x, %v", answer, err)
	}
	bound, _, err := socksaddr.Decode(answer[5:])
	if err != nil {
		t.Fatal(err)
	}
	return bound
}
