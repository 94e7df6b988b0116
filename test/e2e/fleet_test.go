package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/peer"
)

// fleet is three servers behind one haproxy, which share a Redis.
type fleet struct {
	redis     *peer.Process
	redisPort int
	front     int
	ports     [3]int
	paths     [3]string
	nodes     [3]*peer.Process
}

// newFleet starts a fleet. Client addresses come from the PROXY headers of haproxy.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{redisPort: peer.FreePort(t), front: peer.FreePort(t)}
	f.redis = peer.Redis(t, f.redisPort)
	var servers strings.Builder
	for i := range f.nodes {
		f.ports[i] = peer.FreePort(t)
		fmt.Fprintf(&servers, "  server node%d %s send-proxy-v2 check inter 100ms fastinter 50ms downinter 50ms fall 1 rise 1\n", i, peer.Addr(f.ports[i]))
		file := with(serverFile(f.ports[i], fleetMethod), "[pipeline.server]", "") // replaced by the chain below
		file = strings.Replace(file, `chain = ["inbound.ss", "outbound.direct"]`, `chain = ["policy.ban", "inbound.ss", "policy.replay", "outbound.direct"]`, 1)
		file = with(file, "[inbound.ss]", fmt.Sprintf("mode = \"tcp\"\nproxy_protocol = { trusted = [%q] }", balancerAddr))
		file += fmt.Sprintf(`
[policy.ban]
exempt_loopback = false
store = "redis://127.0.0.1:%d"
[policy.replay]
store = "redis://127.0.0.1:%[1]d"
[process]
grace = "100ms"
`, f.redisPort)
		f.paths[i] = write(t, fmt.Sprintf("node%d.toml", i), file)
		f.start(t, i)
	}
	peer.HAProxy(t, fmt.Sprintf(`
frontend front
  bind %s
  default_backend fleet
backend fleet
  balance roundrobin
  retries 3
  option redispatch 1
  source %s
%s`, peer.Addr(f.front), balancerAddr, servers.String()), f.front)
	return f
}

const fleetMethod = "aes-256-gcm"

func (f *fleet) start(t *testing.T, i int) {
	t.Helper()
	f.nodes[i] = runAt(t, f.paths[i])
	f.nodes[i].WaitOutput(t, "umbra started")
}

// kill kills a node and starts it again.
func (f *fleet) kill(t *testing.T, i int) {
	t.Helper()
	f.nodes[i].Signal(t, syscall.SIGKILL)
	f.nodes[i].Wait(t)
	f.start(t, i)
}

// killRedis kills Redis, which loses its data, and starts it again.
func (f *fleet) killRedis(t *testing.T) {
	t.Helper()
	f.redis.Signal(t, syscall.SIGKILL)
	f.redis.Wait(t)
	f.redis = peer.Redis(t, f.redisPort)
}

// header returns a PROXY header of version 1 for a client.
func header(client string) string {
	return fmt.Sprintf("PROXY TCP4 %s 127.0.0.1 4711 8388\r\n", client)
}

// toNode connects to a node as the balancer does, for a client.
func (f *fleet) toNode(t *testing.T, i int, client string) *net.TCPConn {
	t.Helper()
	c := dialFrom(t, balancerAddr, f.ports[i])
	if _, err := io.WriteString(c, header(client)); err != nil {
		t.Fatal(err)
	}
	return c
}

// attack sends an invalid request to a node, and waits for the end of the connection.
func (f *fleet) attack(t *testing.T, i int, client string) {
	t.Helper()
	c := f.toNode(t, i, client)
	_, _ = c.Write(bytes.Repeat([]byte{0x9d}, 221))
	_ = c.CloseWrite()
	if said, err := io.ReadAll(c); len(said) > 0 || err != nil {
		t.Errorf("an attacker got %d bytes and %v, want silence and FIN", len(said), err)
	}
}

// ssRequest makes a request as a client does, and returns its first flight.
func ssRequest(t testing.TB, target string, dial func(flight []byte) (core.Stream, error)) (core.Stream, error) {
	t.Helper()
	spec := aead.Specs()[2]
	c, err := aead.New(spec, key.FromPassword(peer.Password, spec.KeySize), replay.NewSalts(16))
	if err != nil {
		t.Fatal(err)
	}
	to, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	return c.DialStream(to, []byte("ping"), dial)
}

// isServed reports whether a client is served through the balancer.
func (f *fleet) isServed(t testing.TB, client, target string) bool {
	s, err := ssRequest(t, target, func(flight []byte) (core.Stream, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}, Timeout: 5 * time.Second}
		c, err := d.DialContext(t.Context(), "tcp", peer.Addr(f.front))
		if err != nil {
			return nil, err
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write(flight); err != nil {
			c.Close()
			return nil, err
		}
		return c.(*net.TCPConn), nil
	})
	if err != nil {
		return false
	}
	defer s.Close()
	got := make([]byte, len("hello\nping"))
	_, err = io.ReadFull(s, got)
	return err == nil && string(got) == "hello\nping"
}

// TestFleetBans fails handshakes at one node: after the third failure the client is banned on
// all three nodes, and honest clients behind the same balancer never are.
func TestFleetBans(t *testing.T) {
	target := newGreeter(t, "hello")
	f := newFleet(t)
	const attacker, honest = "127.66.6.6", "127.8.8.8"
	await(t, "an honest client is served", func() bool { return f.isServed(t, honest, target.addr) })
	for range 3 {
		f.attack(t, 0, attacker)
	}
	for i, n := range f.nodes {
		n.WaitOutput(t, "banned policy=ban client="+attacker)
		if c := f.toNode(t, i, attacker); !silentNow(t, c) {
			t.Errorf("node %d answers a banned client otherwise than one who makes no request", i)
		}
	}
	if f.isServed(t, attacker, target.addr) {
		t.Error("a banned client with a good key is served")
	}
	for range 10 {
		if !f.isServed(t, honest, target.addr) {
			t.Error("an honest client is not served")
		}
	}
	for i, n := range f.nodes {
		if strings.Contains(n.Output(), "client="+balancerAddr+" for=") {
			t.Errorf("node %d banned the balancer", i)
		}
	}
}

// silentNow closes the client's side, as a prober does, and reports whether the server ends the
// connection without sending data.
func silentNow(t *testing.T, c *net.TCPConn) bool {
	t.Helper()
	_, _ = c.Write(bytes.Repeat([]byte{0x9d}, 221))
	_ = c.CloseWrite()
	said, err := io.ReadAll(c)
	return len(said) == 0 && err == nil
}

// TestFleetReplay sends a recorded request to another node: the node sends no data, and the target
// gets no connection.
func TestFleetReplay(t *testing.T) {
	target := newGreeter(t, "hello")
	f := newFleet(t)
	var flight []byte
	s, err := ssRequest(t, target.addr, func(hello []byte) (core.Stream, error) {
		flight = bytes.Clone(hello)
		c := f.toNode(t, 0, "127.8.8.8")
		_, err := c.Write(hello)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s, "hello\nping")
	before := target.accepted.Load()
	for _, i := range []int{1, 2, 0, 1, 1} {
		c := f.toNode(t, i, "127.66.6.6")
		if _, err := c.Write(flight); err != nil {
			t.Fatal(err)
		}
		_ = c.CloseWrite()
		if said, err := io.ReadAll(c); len(said) > 0 || err != nil {
			t.Errorf("node %d answered a recording with %d bytes and %v, want silence and FIN", i, len(said), err)
		}
	}
	if n := target.accepted.Load() - before; n > 0 {
		t.Errorf("recordings made %d connections to the target", n)
	}
	f.nodes[1].WaitOutput(t, "banned policy=ban client=127.66.6.6") // for three of them
}

// TestFleetOutlives kills nodes and Redis alternately while honest clients work and an attacker is
// banned: every node keeps the ban, and the honest clients are served throughout.
func TestFleetOutlives(t *testing.T) {
	target := newGreeter(t, "hello")
	f := newFleet(t)
	const attacker, honest = "127.66.6.6", "127.8.8.8"
	for range 3 {
		f.attack(t, 0, attacker)
	}
	for _, n := range f.nodes {
		n.WaitOutput(t, "banned policy=ban client="+attacker)
	}
	for round := range 3 {
		for step, fault := range []func(){
			func() { f.kill(t, round%3) }, func() { f.killRedis(t) }, func() { f.kill(t, (round+1)%3); f.killRedis(t) },
		} {
			fault()
			await(t, fmt.Sprintf("round %d, step %d: an honest client is served", round, step), func() bool {
				return f.isServed(t, honest, target.addr)
			})
		}
		for _, n := range f.nodes { // restarted nodes have received the ban again
			n.WaitOutput(t, "banned policy=ban client="+attacker)
		}
		for range f.nodes {
			if f.isServed(t, attacker, target.addr) {
				t.Errorf("round %d: the attacker is served", round)
			}
		}
	}
	for _, n := range f.nodes {
		if out := n.Output(); strings.Count(out, "the store is away") > strings.Count(out, "the store is back")+2 {
			t.Errorf("a node did not find the store again:\n%s", out)
		}
	}
}

// TestBanFile kills a server with a ban file, either directly after a ban or when the ban is on
// disk: each start loads all earlier bans, and none is damaged.
func TestBanFile(t *testing.T) {
	port, bans := peer.FreePort(t), filepath.Join(t.TempDir(), "bans")
	file := strings.Replace(serverFile(port, fleetMethod), `["inbound.ss"`, `["policy.ban", "inbound.ss"`, 1) +
		fmt.Sprintf("[policy.ban]\nexempt_loopback = false\nstore = %q\n", "file:"+bans)
	path := write(t, "umbra.toml", file)
	var known []string
	for n := range 10 {
		umbra := runAt(t, path)
		umbra.WaitOutput(t, "umbra started")
		for _, client := range known {
			umbra.WaitOutput(t, "banned policy=ban client="+client)
		}
		from := fmt.Sprintf("127.66.6.%d", n+1)
		for range 3 {
			silentNow(t, dialFrom(t, from, port))
		}
		umbra.WaitOutput(t, "banned policy=ban client="+from)
		if n%2 == 0 {
			await(t, "the ban on disk", func() bool {
				data, err := os.ReadFile(bans)
				return err == nil && bytes.Contains(data, []byte(from+"/32"))
			})
			known = append(known, from)
		}
		umbra.Signal(t, syscall.SIGKILL)
		umbra.Wait(t)
		if strings.Contains(umbra.Output(), "damaged") || strings.Contains(umbra.Output(), "aside") {
			t.Errorf("a kill spoiled the file:\n%s", umbra.Output())
		}
	}
}
