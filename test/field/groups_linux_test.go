package field

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// exits are three ways out, in the order of a group: umbra and Debian's ss-server by
// Shadowsocks, and umbra by SOCKS5.
type exits struct {
	t       testing.TB
	ports   [3]int
	running [3]*peer.Process
}

func startExits(t testing.TB) *exits {
	t.Helper()
	e := &exits{t: t}
	for i := range e.ports {
		e.ports[i] = peer.FreePort(t)
		e.start(i)
	}
	return e
}

// start starts an exit, at the port that it has.
func (e *exits) start(i int) {
	e.t.Helper()
	inbound := [3]string{`kind = "ss"` + "\ncipher = \"house\"\n", "", `kind = "socks5"` + "\n"}[i]
	if inbound == "" {
		e.running[i] = peer.Start(e.t, nil, peer.Need(e.t, "ss-server"), "-u", "-s", "127.0.0.1", "-p", strconv.Itoa(e.ports[i]), "-k", peer.Password, "-m", "aes-128-gcm")
		e.running[i].WaitListen(e.t, e.ports[i])
	} else {
		e.running[i] = run(e.t, fmt.Sprintf("[pipeline.exit]\nchain = [\"inbound.in\", \"outbound.direct\"]\n[inbound.in]\n%slisten = \"127.0.0.1:%d\"\n"+
			"[outbound.direct]\nallow = [\"127.0.0.0/8\"]\n[cipher.house]\nkind = \"aes-128-gcm\"\npassword = %q\n", inbound, e.ports[i], peer.Password), e.ports[i])
	}
	if i < 2 {
		e.running[i].WaitPackets(e.t, e.ports[i])
	}
}

// kill kills an exit, as a machine that fails does, and returns when it has ended.
func (e *exits) kill(i int) {
	e.t.Helper()
	e.running[i].Signal(e.t, syscall.SIGKILL)
	e.running[i].Wait(e.t)
}

// group is the file of a local side with a group of the exits. It has the kind and further
// options.
func (e *exits) group(socks int, options string) string {
	return fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.exit"]
[inbound.socks5]
listen = "127.0.0.1:%d"
[outbound.exit]
members = ["paris", "tokyo", "lima"]
%s
[outbound.paris]
kind = "ss"
server = "127.0.0.1:%d"
cipher = "house"
[outbound.tokyo]
kind = "ss"
server = "127.0.0.1:%d"
cipher = "house"
[outbound.lima]
kind = "socks5"
server = "127.0.0.1:%d"
[cipher.house]
kind = "aes-128-gcm"
password = %q
[log]
level = "debug"
`, socks, options, e.ports[0], e.ports[1], e.ports[2], peer.Password)
}

// once makes one request to an echo server.
func once(proxy int, target []byte) error {
	c, err := net.DialTimeout("tcp", peer.Addr(proxy), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(append([]byte{5, 1, 0, 5, 1, 0}, target...)); err != nil {
		return err
	}
	var answer [12]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return err
	}
	if answer[3] != 0 {
		return fmt.Errorf("reply %d", answer[3])
	}
	return echo(c, "hello")
}

// load makes requests until its end, several at once.
type load struct {
	t    testing.TB
	stop chan struct{}
	all  sync.WaitGroup

	mu    sync.Mutex
	since time.Time // of requests that began before, failures are not counted; guarded by mu
	made  int       // guarded by mu
}

func startLoad(t testing.TB, proxy int, target string) *load {
	t.Helper()
	addr, port, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	at := append(append([]byte{1}, net.ParseIP(addr).To4()...), byte(n>>8), byte(n))
	l := &load{t: t, stop: make(chan struct{})}
	for range 4 {
		l.all.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				began := time.Now()
				err := once(proxy, at)
				l.mu.Lock()
				if l.made++; err != nil && began.After(l.since) {
					t.Errorf("request %d: %v", l.made, err)
				}
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// during calls do. Requests that began before its end may fail: their first bytes may have
// reached what do kills.
func (l *load) during(do func()) {
	l.mu.Lock()
	l.since = time.Now().Add(time.Hour)
	l.mu.Unlock()
	do()
	l.mu.Lock()
	l.since = time.Now()
	l.mu.Unlock()
}

// more waits until n more requests were made.
func (l *load) more(p *peer.Process, n int) {
	l.t.Helper()
	l.mu.Lock()
	n += l.made
	l.mu.Unlock()
	p.Until(l.t, fmt.Sprintf("serve %d requests", n), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.made >= n
	})
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.all.Wait()
}

// TestFailover kills the exits of a group one after the other under load, and starts them
// again: no request fails that begins when one exit is there.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{
		"kind = \"failover\"", "kind = \"balance\"", "kind = \"balance\"\nby = \"least\"", "kind = \"balance\"\nby = \"client\"", "kind = \"fastest\"",
		"kind = \"select\"\nothers = true",
	} {
		t.Run(strings.ReplaceAll(kind, "\n", " "), func(t *testing.T) {
			t.Parallel()
			e := startExits(t)
			socks, target := peer.FreePort(t), listenEcho(t)
			path := filepath.Join(t.TempDir(), "umbra.toml")
			file := e.group(socks, kind+"\nattempts = 3\nrest = \"300ms\"\nrise = 1")
			if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			umbra := runAt(t, path, nil, socks)
			l := startLoad(t, socks, peer.Addr(target))
			l.more(umbra, 20)
			l.during(func() { e.kill(0) })
			l.more(umbra, 40)
			l.during(func() { e.kill(1) })
			l.more(umbra, 40)
			e.start(0)
			if kind == "kind = \"failover\"" {
				umbra.WaitOutput(t, "member is in again outbound=exit member=paris")
			}
			l.more(umbra, 40)
			l.during(func() { e.kill(2) })
			e.start(1)
			l.more(umbra, 40)
			umbra.Signal(t, syscall.SIGHUP)
			umbra.WaitOutput(t, "generation=2")
			l.more(umbra, 40)
			l.end()
			if kind == "kind = \"failover\"" && !strings.Contains(umbra.Output(), "member is out outbound=exit member=paris") {
				t.Error("no line says that the first member went out")
			}
		})
	}
}

// TestFailoverReload has a reload keep what is known of a member that is down.
func TestFailoverReload(t *testing.T) {
	t.Parallel()
	e := startExits(t)
	socks, target := peer.FreePort(t), listenEcho(t)
	path := filepath.Join(t.TempDir(), "umbra.toml")
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := e.group(socks, "kind = \"failover\"\nattempts = 3\nrest = \"1h\"")
	save(file)
	umbra := runAt(t, path, nil, socks)
	l := startLoad(t, socks, peer.Addr(target))
	l.during(func() { e.kill(0) })
	umbra.WaitOutput(t, "member is out outbound=exit member=paris")
	save(strings.Replace(file, `rest = "1h"`, `rest = "2h"`, 1))
	umbra.Signal(t, syscall.SIGHUP)
	umbra.WaitOutput(t, "generation=2")
	l.more(umbra, 40)
	if n := strings.Count(umbra.Output(), "member is out"); n != 1 {
		t.Errorf("the member went out %d times, want once: the reload has kept its state", n)
	}
	e.start(0)
	save(strings.Replace(file, "[outbound.paris]", "[outbound.paris]\nfirst_payload_wait = \"40ms\"", 1))
	umbra.Signal(t, syscall.SIGHUP)
	umbra.WaitOutput(t, "generation=3")
	l.more(umbra, 40)
	l.end()
	if out := umbra.Output(); !strings.Contains(out[strings.Index(out, "generation=3"):], " by=outbound.paris") {
		t.Error("a member whose table has changed is still out")
	}
}

// TestFailoverPackets kills the exit of an association: once requests have taken it out, the
// association goes on through the next one.
func TestFailoverPackets(t *testing.T) {
	t.Parallel()
	e := startExits(t)
	socks, target, far := peer.FreePort(t), listenEcho(t), listenPacketEcho(t)
	umbra := run(t, e.group(socks, "kind = \"failover\"\nrest = \"1h\""), socks)
	relay := associate(t, socks)
	talk(t, relay, far)
	e.kill(0)
	l := startLoad(t, socks, peer.Addr(target))
	umbra.WaitOutput(t, "member is out outbound=exit member=paris")
	talk(t, relay, far)
	l.end()
	e.kill(1)
	l = startLoad(t, socks, peer.Addr(target))
	umbra.WaitOutput(t, "member is out outbound=exit member=tokyo")
	talk(t, relay, far)
	l.end()
	// The way through lima has a connection of its own, whose end ends it: the next datagram
	// opens another one. All are out then, so one is tried all the same.
	e.start(0)
	e.kill(2)
	l = startLoad(t, socks, peer.Addr(target))
	talk(t, relay, far)
	l.end()
}
