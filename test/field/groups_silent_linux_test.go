package field

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestSilentMember stops the first exit of a group: the kernel accepts connections for it, and
// nothing answers. Requests for one target say nothing of that; those for many take it out.
func TestSilentMember(t *testing.T) {
	t.Parallel()
	e := startExits(t)
	socks := peer.FreePort(t)
	umbra := run(t, e.group(socks, "kind = \"failover\"\nrest = \"1h\""), socks)
	e.running[0].Signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { _ = e.running[0].Cmd.Process.Signal(syscall.SIGCONT) })
	targets := make([]string, 5)
	for i := range targets {
		targets[i] = peer.Addr(listenEcho(t))
	}
	// silent makes requests at once and gives each up when there was no answer for a while.
	silent := func(targets []string) (answered int) {
		var all sync.WaitGroup
		var mu sync.Mutex
		for _, target := range targets {
			c, rep := dialSOCKS(t, socks, 1, target)
			if rep != 0 {
				t.Fatalf("got reply %d", rep)
			}
			all.Go(func() {
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(7 * time.Second))
				_, err := c.Write([]byte("hello"))
				if err == nil {
					_, err = io.ReadFull(c, make([]byte, 5))
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					answered++
				} else if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a request that nobody answers: %v", err)
				}
			})
		}
		all.Wait()
		return answered
	}
	if n := silent([]string{targets[0], targets[0], targets[0], targets[0], targets[0]}); n != 0 {
		t.Fatalf("%d answers of a program that is stopped", n)
	}
	if strings.Contains(umbra.Output(), "member is out") {
		t.Error("one target took the member out")
	}
	silent(targets) // whose streams stay: their clients have ended in order
	for _, target := range targets {
		if err := echoed(t, socks, target); err != nil {
			t.Errorf("after many silent targets: %v", err)
		}
	}
	umbra.WaitOutput(t, "member is out outbound=exit member=paris reason=\"no answer from any target\"")
}

// TestProbedMembers has probes alone find an exit that is killed, and one that is stopped, and
// find them again.
func TestProbedMembers(t *testing.T) {
	t.Parallel()
	e := startExits(t)
	socks := peer.FreePort(t)
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer web.Close()
	umbra := run(t, e.group(socks, fmt.Sprintf("kind = \"fastest\"\nfall = 2\nprobe = { target = %q, every = \"1s\", timeout = \"1s\" }", strings.TrimPrefix(web.URL, "http://"))), socks)
	e.kill(0)
	umbra.WaitOutput(t, "member is out outbound=exit member=paris reason=\"probe: ")
	e.running[1].Signal(t, syscall.SIGSTOP)
	umbra.WaitOutput(t, "member is out outbound=exit member=tokyo reason=\"probe: no answer within 1s\"")
	e.running[1].Signal(t, syscall.SIGCONT)
	umbra.WaitOutput(t, "member is in again outbound=exit member=tokyo")
	e.start(0)
	umbra.WaitOutput(t, "member is in again outbound=exit member=paris")
	port := listenEcho(t)
	if err := echoed(t, socks, "127.0.0.1:"+strconv.Itoa(port)); err != nil {
		t.Error(err)
	}
	if strings.Contains(umbra.Output(), "inbound=socks5 client=127.0.0.1") && strings.Count(umbra.Output(), "stream closed") > 1 {
		t.Errorf("probes count as clients")
	}
}
