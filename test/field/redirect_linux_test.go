package field

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// network is a router, in the namespace of the test, between two machines: lan and far.
type network struct {
	lan, far *peer.Process // namespaces of their own
}

// newNetwork joins the machines. far has 198.51.100.1, 198.51.100.2, 2001:db8::1 and 2001:db8::2, with a name server on each
// and a web server on 198.51.100.1.
func newNetwork(t *testing.T) network {
	t.Helper()
	machine := func() *peer.Process {
		return peer.Start(t, nil, peer.Need(t, "unshare"), "-n", "sleep", "300")
	}
	n := network{machine(), machine()}
	for _, p := range []*peer.Process{n.lan, n.far} {
		own, _ := os.Readlink("/proc/self/ns/net")
		p.Until(t, "have a namespace", func() bool {
			its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", p.Cmd.Process.Pid))
			return err == nil && its != own
		})
	}
	ip := func(words string) { peer.Command(t, append([]string{"ip"}, strings.Fields(words)...)...) }
	for i, p := range []*peer.Process{n.lan, n.far} {
		ip(fmt.Sprintf("link add r%d type veth peer name eth0 netns %d", i, p.Cmd.Process.Pid))
		ip(fmt.Sprintf("addr add 10.0.%d.1/24 dev r%d", i, i))
		ip(fmt.Sprintf("addr add fd00:%d::1/64 dev r%d nodad", i, i))
		ip(fmt.Sprintf("link set r%d up", i))
		for _, words := range []string{
			"ip link set lo up", fmt.Sprintf("ip addr add 10.0.%d.2/24 dev eth0", i), fmt.Sprintf("ip addr add fd00:%d::2/64 dev eth0 nodad", i), "ip link set eth0 up",
			fmt.Sprintf("ip route add default via 10.0.%d.1", i), fmt.Sprintf("ip -6 route add default via fd00:%d::1", i),
		} {
			n.on(t, p, words)
		}
	}
	for _, a := range []string{"198.51.100.1", "198.51.100.2", "2001:db8::1", "2001:db8::2"} {
		words := fmt.Sprintf("ip addr add %s dev lo", a)
		if strings.Contains(a, ":") {
			words += " nodad"
		}
		n.on(t, n.far, words)
	}
	ip("route add 198.51.100.0/24 via 10.0.1.2")
	ip("-6 route add 2001:db8::/64 via fd00:1::2")
	conf := filepath.Join(t.TempDir(), "dnsmasq.conf")
	if err := os.WriteFile(conf, []byte("port=53\nno-resolv\nno-hosts\nlocal=/#/\npid-file=\naddress=/one.test/192.0.2.7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start(t, n.far, "dnsmasq", "-k", "-C", conf)
	return n
}

// inside are the words that run a program on a machine.
func inside(t testing.TB, p *peer.Process, words ...string) []string {
	t.Helper()
	return append([]string{peer.Need(t, "nsenter"), "-t", strconv.Itoa(p.Cmd.Process.Pid), "-n", peer.Need(t, words[0])}, words[1:]...)
}

func (n network) on(t testing.TB, p *peer.Process, words string) string {
	t.Helper()
	return peer.Command(t, inside(t, p, strings.Fields(words)...)...)
}

func (n network) start(t testing.TB, p *peer.Process, words ...string) *peer.Process {
	t.Helper()
	all := inside(t, p, words...)
	return peer.Start(t, nil, all[0], all[1:]...)
}

// ask asks a name server of far from a machine.
func (n network) ask(t testing.TB, from *peer.Process, server, how string) (string, error) {
	words := inside(t, from, "dig", "@"+server, "+short", "+tries=3", "+time=2", how, "one.test", "A")
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// rules loads a file of contrib/nftables, with replacements in it: old, new, ….
func rules(t *testing.T, name string, replacements ...string) {
	t.Helper()
	text, err := os.ReadFile("../../contrib/nftables/" + name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replacements...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	peer.Command(t, "nft", "-f", path)
}

func redirectFile(listen, more, direct string) string {
	return fmt.Sprintf(`
[log]
level = "debug"
[pipeline.network]
chain = ["inbound.redirect", "outbound.direct"]
[inbound.redirect]
listen = %s
%s
[outbound.direct]
allow = ["10.0.0.0/8", "fd00::/8", "198.51.100.0/24", "2001:db8::/32"]
%s
`, listen, more, direct)
}

// TestRouter sends a network through umbra by TPROXY: TCP and UDP, IPv4 and IPv6, to several
// targets from one client, and over a reload.
func TestRouter(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	n := newNetwork(t)
	rules(t, "router.nft")
	for _, words := range []string{
		"ip rule add fwmark 1 lookup 100", "ip route add local default dev lo table 100", "ip -6 rule add fwmark 1 lookup 100", "ip -6 route add local default dev lo table 100",
	} {
		peer.Command(t, strings.Fields(words)...)
	}
	p := run(t, redirectFile(`["127.0.0.1:1081", "[::1]:1081"]`, "tcp = \"tproxy\"\nudp = \"tproxy\"\nanswer_sockets = 3", ""), 1081)
	p.WaitPackets(t, 1081)
	for round := range 2 {
		for _, server := range []string{"198.51.100.1", "198.51.100.2", "2001:db8::1", "2001:db8::2"} {
			for _, how := range []string{"+tcp", "+notcp"} {
				if got, err := n.ask(t, n.lan, server, how); got != "192.0.2.7" || err != nil {
					t.Errorf("round %d: dig @%s %s: got %q, %v, want the record", round, server, how, got, err)
				}
			}
		}
		if round == 0 {
			p.Signal(t, syscall.SIGHUP)
			p.WaitOutput(t, "reloaded")
		}
	}
	for _, want := range []string{"target=198.51.100.1:53", "target=[2001:db8::2]:53", "client=10.0.0.2:", "client=[fd00::2]:"} {
		p.WaitOutput(t, want)
	}
	if strings.Contains(p.Output(), "answers dropped") {
		t.Error("answers were dropped")
	}
}

// TestMachine sends the connections of a machine's own programs through umbra by REDIRECT. What
// umbra sends itself goes by its mark; without it a request that comes back is refused.
func TestMachine(t *testing.T) {
	if !peer.InNamespace(t) {
		return
	}
	n := newNetwork(t)
	rules(t, "machine.nft", `meta skuid "umbra"`, "meta mark 81")
	p := run(t, redirectFile(`":1081"`, "", "mark = 81"), 1081)
	here := peer.Start(t, nil, peer.Need(t, "sleep"), "300") // a program of the machine itself
	for _, server := range []string{"198.51.100.1", "2001:db8::2"} {
		if got, err := n.ask(t, here, server, "+tcp"); got != "192.0.2.7" || err != nil {
			t.Errorf("dig @%s: got %q, %v, want the record", server, got, err)
		}
	}
	p.WaitOutput(t, "target=198.51.100.1:53")
	if err := dialPort(1081); err == nil {
		t.Error("a client that dials the inbound itself is served")
	}
	p.WaitOutput(t, "no firewall rule has sent it here")
	p.Stop()

	loops := run(t, redirectFile(`":1081"`, "", ""), 1081)
	if got, err := n.ask(t, here, "198.51.100.1", "+tcp"); got == "192.0.2.7" {
		t.Errorf("without the mark: got %q, %v, and the rules send umbra's own connections back", got, err)
	}
	loops.WaitOutput(t, "WARN")
	if got := loops.Descriptors(t); got > 200 {
		t.Errorf("%d descriptors after a request that comes back", got)
	}
}

// dialPort opens a connection to a port of this machine, and returns why it has ended.
func dialPort(port int) error {
	c, err := net.Dial("tcp", peer.Addr(port))
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = c.Read(make([]byte, 1))
	return err
}
