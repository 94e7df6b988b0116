package acl

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/match"
)

// TestFollow changes a file while an association runs.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.txt")
	save(t, path, "one.test\n")
	synctest.Test(t, func(t *testing.T) {
		p, out := newPolicy(t, Options{DenyTargets: targetsOf(t, "always.test", "file:"+path), DenyUsers: []string{"eve"}}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		c, s := open(t, p)
		for _, step := range []struct{ do, text, want string }{
			{"as it was", "", "two.test:1 "},
			{"another name", "two.test\n", "one.test:1 "},
			{"a bad line", "one.test\n\ntwo.test three.test\n", "one.test:1 "},
			{"no file", "-", "one.test:1 "},
			{"whole again", "# all\ntest\n", ""},
			{"empty", "", ""},
			{"nothing", "#\n", "one.test:1 , two.test:1 "},
		} {
			switch step.text {
			case "":
			case "-":
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			default:
				save(t, path, step.text)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			ps := []core.Packet{{Addr: addr(t, "one.test:1")}, {Addr: addr(t, "two.test:1")}, {Addr: addr(t, "always.test:1")}}
			if _, err := c.WritePackets(ps); err != nil {
				t.Fatal(err)
			}
			if got := s.take(); got != step.want {
				t.Errorf("%s: got %q, want %q", step.do, got, step.want)
			}
			time.Sleep(9 * time.Second)
		}
		if n := strings.Count(out.String(), `msg="list file not read, its old entries stay in use"`); n != 2 {
			t.Errorf("got %d complaints, want 2:\n%s", n, out)
		}
		if !strings.Contains(out.String(), "bad.txt:3: ") || !strings.Contains(out.String(), `msg="list read" list=deny_targets file=`) {
			t.Errorf("the log tells neither the line nor what was read:\n%s", out)
		}
		cancel()
		<-done
	})
}

// TestTally tells how many were denied, at most once in ten seconds, and the last of
// them at the end.
func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, out := newPolicy(t, Options{DenyTargets: targetsOf(t, "example.org")}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		d := p.Wrap(coretest.NewDialer())
		deny := func(n int) {
			for range n {
				if _, err := d.DialStream(t.Context(), request(t, "example.org:1")); err == nil {
					t.Fatal("got a stream, want none")
				}
			}
		}
		deny(1000)
		c, _ := open(t, p)
		_, _ = c.WritePackets([]core.Packet{{Addr: addr(t, "example.org:1")}})
		time.Sleep(35 * time.Second)
		deny(3)
		cancel()
		<-done
		var lines []string
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, "level=INFO") {
				lines = append(lines, line[strings.Index(line, "msg="):])
			}
		}
		if got, want := strings.Join(lines, ""), "msg=denied requests=1000 datagrams=1\nmsg=denied requests=3 datagrams=0\n"; got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// TestFollowTwo checks that a file that is wrong holds up no other, and that bounds hold
// for all files of a list together.
func TestFollowTwo(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.txt"), filepath.Join(dir, "b.txt")
	save(t, a, "a.test\n")
	save(t, b, "b.test\n")
	synctest.Test(t, func(t *testing.T) {
		p, out := newPolicy(t, Options{DenyTargets: targetsOf(t, "file:"+a, "file:"+b), DenySources: sourcesOf(t, "192.0.2.1")}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		many := strings.Repeat("keyword:zzz\n", match.MaxKeywords/2+1)
		for _, step := range []struct{ do, a, b, want string }{
			{"both read", "a.test\n", "b.test\n", "a.test b.test"},
			{"one wrong, the other changed", "a test\n", "b.test\nc.test\n", "a.test b.test c.test"},
			{"the first mended", "d.test\n", "b.test\nc.test\n", "b.test c.test d.test"},
			{"too much together", many, many, "b.test c.test d.test"},
			{"not any more", many, "b.test\n", "b.test"},
		} {
			save(t, a, step.a)
			save(t, b, step.b)
			time.Sleep(time.Second)
			synctest.Wait()
			var denied []string
			for _, name := range []string{"a.test", "b.test", "c.test", "d.test"} {
				if _, ok := p.rules.Load().target(addr(t, name+":1")); !ok {
					denied = append(denied, name)
				}
			}
			if got := strings.Join(denied, " "); got != step.want {
				t.Errorf("%s: got %q denied, want %q", step.do, got, step.want)
			}
		}
		cancel()
		<-done
		for _, want := range []string{"a.txt:1: ", "too many keywords"} {
			if n := strings.Count(out.String(), want); n != 1 {
				t.Errorf("got %q %d times, want once:\n%s", want, n, out)
			}
		}
	})
}
