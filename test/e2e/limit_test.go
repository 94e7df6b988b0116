package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// limitFile is a SOCKS5 side with two users and a policy of limits.
func limitFile(port int, policy string) string {
	return fmt.Sprintf(`
[log]
level = "debug"
[pipeline.local]
chain = ["policy.limit", "inbound.socks5", "outbound.direct"]
[policy.limit]
%s
[inbound.socks5]
listen = %q
users = { alice = "wonderland", bob = "builder" }
[outbound.direct]
allow = ["127.0.0.0/8", "::1"]
`, policy, peer.Addr(port))
}

// fetch downloads a file with curl as a user, and returns the number of bytes and curl's exit
// status.
func fetch(t testing.TB, port int, user, url string) (size int, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), peer.Need(t, "curl"), "-s", "--proxy", "socks5h://"+user+"@"+peer.Addr(port),
		"-o", filepath.Join(t.TempDir(), "out"), "-w", "%{size_download}", "--max-time", "60", url)
	out, _ := cmd.Output() // curl fails if the policy ends the download
	if size, _ = strconv.Atoi(string(out)); cmd.ProcessState == nil {
		t.Fatal("curl did not run")
	}
	return size, cmd.ProcessState.ExitCode()
}

const (
	alice = "alice:wonderland"
	bob   = "bob:builder"
)

// TestLimitQuota uses up alice's quota with curl: her download is cut and further requests are
// refused, bob is served; the same holds after a kill and a start, and a reload with a larger
// quota serves her again.
func TestLimitQuota(t *testing.T) {
	files := newWeb(t)
	port := peer.FreePort(t)
	store := filepath.Join(t.TempDir(), "quota")
	policy := fmt.Sprintf("quota_per_user = %q\nstore = %q", "20MB", "file:"+store)
	path := write(t, "umbra.toml", limitFile(port, policy))
	umbra := runAt(t, path, port)

	if size, status := fetch(t, port, alice, files.URL+"/file/1000000"); size != 1_000_000 || status != 0 {
		t.Errorf("within the quota: got %d bytes, status %d", size, status)
	}
	if size, status := fetch(t, port, alice, files.URL+"/file/100000000"); size < 10_000_000 || size > 22_000_000 || status == 0 {
		t.Errorf("beyond the quota: got %d bytes, status %d, want some 19 MB and an error", size, status)
	}
	umbra.WaitOutput(t, "quota spent")
	if size, status := fetch(t, port, alice, files.URL+"/file/1"); size != 0 || status == 0 {
		t.Errorf("after the quota: got %d bytes, status %d, want none", size, status)
	}
	umbra.WaitOutput(t, "denied by policy: the quota of ")
	if size, status := fetch(t, port, bob, files.URL+"/file/1000000"); size != 1_000_000 || status != 0 {
		t.Errorf("bob: got %d bytes, status %d", size, status)
	}
	await(t, "the file", func() bool { return fileSize(t, store) > 100 })
	umbra.Signal(t, syscall.SIGKILL)
	umbra.Wait(t)

	umbra = runAt(t, path, port)
	if size, status := fetch(t, port, alice, files.URL+"/file/1"); size != 0 || status == 0 {
		t.Errorf("after a kill: got %d bytes, status %d, want none", size, status)
	}
	if size, status := fetch(t, port, bob, files.URL+"/file/1"); size != 1 || status != 0 {
		t.Errorf("bob after a kill: got %d bytes, status %d", size, status)
	}
	save(t, path, limitFile(port, policy+"\nusers = { alice = { quota = \"1GB\" } }"))
	umbra.Signal(t, syscall.SIGHUP)
	await(t, "alice to be served", func() bool {
		size, status := fetch(t, port, alice, files.URL+"/file/1000")
		return size == 1000 && status == 0
	})
}

// TestLimitFleet uses two nodes with one Redis server: bytes that alice uses on one node count on the
// other, where her running download is cut.
func TestLimitFleet(t *testing.T) {
	files := newWeb(t)
	redis := peer.FreePort(t)
	peer.Start(t, nil, peer.Need(t, "redis-server"), "--port", strconv.Itoa(redis), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1").WaitListen(t, redis)
	policy := fmt.Sprintf("quota_per_user = %q\nbandwidth_per_user = %q\nstore = %q", "10MB", "8MB/s", "redis://"+peer.Addr(redis))
	ports := []int{peer.FreePort(t), peer.FreePort(t)}
	for _, port := range ports {
		run(t, limitFile(port, policy), port)
	}
	got := make(chan int)
	for _, port := range ports {
		go func() {
			size, _ := fetch(t, port, alice, files.URL+"/file/100000000")
			got <- size
		}()
	}
	if all := <-got + <-got; all < 5_000_000 || all > 50_000_000 {
		t.Errorf("got %d bytes on both nodes, want the quota and what passes in a second or so", all)
	}
	for _, port := range ports {
		await(t, "alice to be refused", func() bool {
			_, status := fetch(t, port, alice, files.URL+"/file/1")
			return status != 0
		})
		if size, status := fetch(t, port, bob, files.URL+"/file/1000"); size != 1000 || status != 0 {
			t.Errorf("bob: got %d bytes, status %d", size, status)
		}
	}
}

// TestLimitConnections limits the connections of a user, and then those of an address.
func TestLimitConnections(t *testing.T) {
	files := newWeb(t)
	for _, tc := range []struct {
		policy  string
		bounded bool // alice
		other   bool // bob too
	}{
		{"connections_per_user = 2", true, false},
		{"connections_per_client = 2", false, false}, // curl is on this machine
		{"connections_per_client = 2\nexempt_loopback = false", true, true},
	} {
		t.Run(tc.policy, func(t *testing.T) {
			port := peer.FreePort(t)
			umbra := run(t, limitFile(port, tc.policy))
			await(t, "the port", func() bool { return status(t, port, bob, files.URL) == 0 })
			held := []*peer.Process{hold(t, port, files.URL), hold(t, port, files.URL)}
			if tc.bounded {
				await(t, "alice to be refused", func() bool { return status(t, port, alice, files.URL) != 0 })
			} else if got := status(t, port, alice, files.URL); got != 0 {
				t.Errorf("alice: got status %d, want 0", got)
			}
			if got := status(t, port, bob, files.URL); (got != 0) != tc.other {
				t.Errorf("bob: got status %d, want him refused: %t", got, tc.other)
			}
			for _, curl := range held {
				curl.Stop()
			}
			await(t, "alice to be served", func() bool { return status(t, port, alice, files.URL) == 0 })
			if strings.Contains(umbra.Output(), " ERROR ") {
				t.Errorf("got the log %s", umbra.Output())
			}
		})
	}
}

// hold downloads a large file with curl as alice, and returns when the download has started.
func hold(t testing.TB, port int, url string) *peer.Process {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	var p *peer.Process
	await(t, "a download", func() bool { // a connection that has just ended may still count
		if fileSize(t, out) > 0 {
			return true
		}
		if p == nil || p.Ended() {
			p = peer.Start(t, nil, peer.Need(t, "curl"), "-s", "--proxy", "socks5h://"+alice+"@"+peer.Addr(port),
				"--limit-rate", "1k", "-o", out, url+"/file/100000000")
		}
		return false
	})
	return p
}

// status downloads one byte with curl as a user and returns curl's exit status.
func status(t testing.TB, port int, user, url string) int {
	t.Helper()
	_, s := fetch(t, port, user, url+"/file/1")
	return s
}
