package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
)

// greets returns the file text with another greeting.
func greets(text, greeting string) string {
	return strings.Replace(text, `kind = "echo"`, "kind = \"echo\"\ngreeting = \""+greeting+"\"", 1)
}

// reload loads a file.
func (w *world) reload(t testing.TB, e *engine.Engine, text string, at ...netip.AddrPort) {
	t.Helper()
	if err := e.Reload(t.Context(), w.parse(t, text, at...)); err != nil {
		t.Fatal(err)
	}
}

// becomes waits until new streams have the given greeting.
func becomes(t testing.TB, at netip.AddrPort, greeting string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; {
		conn := connect(t, at)
		got, err := request(conn)
		conn.Close()
		if err != nil {
			t.Fatalf("a stream during the reload: %v", err)
		}
		if got == greeting {
			return
		}
	}
	t.Fatalf("new streams are not served with %q", greeting)
}

// await waits until a component was shut down n times in all.
func (w *world) await(t testing.TB, id string, n int) {
	t.Helper()
	for {
		ends := 0
		for _, event := range w.noted() {
			if event == "down "+id {
				ends++
			}
		}
		if ends >= n {
			return
		}
		coretest.Await(t, "the end of "+id, w.down)
	}
}

// Under load no connection is refused or cut, and old streams go on.
func TestReloadUnderLoad(t *testing.T) {
	const reloads = 12
	w, at := newWorld(), coretest.FreeAddr(t)
	e := w.start(t, one, at)
	old := open(t, at, "a")
	stop := make(chan struct{})
	var load sync.WaitGroup
	unload := sync.OnceFunc(func() { close(stop); load.Wait() })
	defer unload()
	for range 4 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					if n == 0 {
						t.Error("no connection was made under load")
					}
					return
				default:
				}
				if err := once(at); err != nil {
					t.Errorf("connection %d under load: %v", n, err)
					return
				}
			}
		})
	}
	for i := range reloads {
		greeting := string(rune('b' + i))
		w.reload(t, e, greets(one, greeting), at)
		becomes(t, at, greeting)
		echo(t, old)
	}
	unload()
	w.await(t, "outbound.out", reloads-1) // all retired ones but the first
	echo(t, old)
	old.Close()
	w.await(t, "outbound.out", reloads)
}

// once makes a connection, uses and ends it.
func once(at netip.AddrPort) error {
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := request(conn); err != nil {
		return err
	}
	if _, err = conn.Write([]byte("x")); err != nil {
		return err
	}
	var b [1]byte
	if _, err = conn.Read(b[:]); err == nil && b[0] != 'x' {
		err = fmt.Errorf("echo: got %q, want x", b)
	}
	return err
}

// A connection that comes after the old generation stopped accepting and before
// the new one began is not lost.
func TestReloadGap(t *testing.T) {
	w, at := newWorld(), coretest.FreeAddr(t)
	e := w.start(t, one, at)
	open(t, at, "a").Close()
	w.reload(t, e, greets(strings.Replace(one, `kind = "tiny"`, "kind = \"tiny\"\nlate = true", 1), "b"), at)
	w.await(t, "inbound.in", 1)
	var conns []*net.TCPConn
	for range 8 {
		conns = append(conns, connect(t, at))
	}
	close(w.release)
	for i, conn := range conns {
		if got, err := request(conn); got != "b" || err != nil {
			t.Errorf("connection %d: got %q, %v, want b", i, got, err)
		}
	}
}

// A generation that is replaced before it began to accept does not take the
// socket from its successor.
func TestReloadOvertakes(t *testing.T) {
	w, at := newWorld(), coretest.FreeAddr(t)
	e := w.start(t, strings.Replace(one, `kind = "tiny"`, "kind = \"tiny\"\nlate = true", 1), at)
	w.reload(t, e, greets(one, "b"), at)
	becomes(t, at, "b")
	close(w.release)
	w.await(t, "outbound.out", 1)
	open(t, at, "b")
}

// A file that can't be used changes nothing and leaves nothing behind.
func TestReloadFails(t *testing.T) {
	w, at, more := newWorld(), coretest.FreeAddr(t), coretest.FreeAddr(t)
	e := w.start(t, one, at)
	old := open(t, at, "a")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().(*net.TCPAddr).AddrPort()
	third := two + "[pipeline.r]\nchain = [\"inbound.in3\", \"outbound.out\"]\n[inbound.in3]\nkind = \"tiny\"\nlisten = \"@3\"\n"
	for _, tc := range []struct{ name, text, want string }{
		{"build", strings.Replace(greets(two, "b"), `kind = "key"`, "kind = \"key\"\nwrong = \"too short\"", 1), "f:13:9: cipher.k.wrong: too short"},
		{"bind", greets(third, "b"), "f:23:10: inbound.in3.listen: listen on " + busy.String() + ": bind: address already in use"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wants(t, e.Reload(t.Context(), w.parse(t, tc.text, at, more, busy)), tc.want)
			free(t, more)
			echo(t, old)
			echo(t, open(t, at, "a"))
		})
	}
}

// Addresses come and go with the file.
func TestReloadAddresses(t *testing.T) {
	w, first, second := newWorld(), coretest.FreeAddr(t), coretest.FreeAddr(t)
	e := w.start(t, one, first)
	stays := open(t, first, "a")
	w.reload(t, e, greets(two, "b"), first, second)
	open(t, second, "b")
	becomes(t, first, "b")
	w.reload(t, e, greets(one, "c"), second)
	becomes(t, second, "c")
	echo(t, stays)
	w.await(t, "inbound.in", 2)
	w.await(t, "inbound.in2", 1)
	if conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(first)); err == nil {
		conn.Close()
		t.Errorf("%s is still served", first)
	}
	free(t, first)
	echo(t, stays)
}

// What a component keeps survives, by its name.
func TestReloadKeeps(t *testing.T) {
	w, at := newWorld(), coretest.FreeAddr(t)
	type visits struct{ n int }
	var got []int
	core.Add(&w.reg.Policy, "keeper", func(env core.Env, _ struct{}) (core.Policy, error) {
		core.Keep(env, func(old *visits) *visits {
			if old == nil {
				old = new(visits)
			}
			old.n++
			got = append(got, old.n)
			return old
		})
		return middleware{w.part(env)}, nil
	})
	kept := func(name string) string {
		return strings.Replace(one, `"outbound.out"`, `"policy.`+name+`", "outbound.out"`, 1) + "[policy." + name + "]\nkind = \"keeper\"\n"
	}
	e := w.start(t, kept("x"), at)
	w.reload(t, e, kept("x"), at)
	w.reload(t, e, kept("y"), at)
	w.reload(t, e, kept("x"), at)
	if fmt.Sprint(got) != "[1 2 1 3]" {
		t.Errorf("got %v, want [1 2 1 3]", got)
	}
	becomes(t, at, "a")
}

// A shutdown waits for the streams of retired generations too, as long as its
// context lasts.
func TestShutdownRetired(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut %t", cut), func(t *testing.T) {
			w, at := newWorld(), coretest.FreeAddr(t)
			e := w.start(t, one, at)
			old := open(t, at, "a")
			w.reload(t, e, greets(one, "b"), at)
			becomes(t, at, "b")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- e.Shutdown(ctx) }()
			w.await(t, "outbound.out", 1) // the current generation's
			echo(t, old)
			select {
			case err := <-done:
				t.Fatalf("shutdown returned %v while a stream ran", err)
			default:
			}
			if cut {
				cancel()
			} else {
				old.Close()
			}
			if err := coretest.Await(t, "the shutdown", done); err != nil {
				t.Errorf("shutdown: got %v, want nil", err)
			}
			w.await(t, "outbound.out", 2)
			free(t, at)
		})
	}
}

// Silent clients of a retired generation don't hold up a shutdown.
func TestShutdownRetiredHandshakes(t *testing.T) {
	w, at := newWorld(), coretest.FreeAddr(t)
	e := w.start(t, one, at)
	silent := connect(t, at)
	open(t, at, "a").Close() // so the silent one has been accepted
	w.reload(t, e, greets(one, "b"), at)
	becomes(t, at, "b")
	done := make(chan error, 1)
	go func() { done <- e.Shutdown(t.Context()) }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("shutdown: got %v, want nil", err)
		}
	case <-time.After(patience / 4):
		t.Error("a silent client of a retired generation holds up the shutdown")
		silent.Close()
		<-done
	}
}

// Nothing is loaded once a shutdown has begun.
func TestReloadDuringShutdown(t *testing.T) {
	w, at := newWorld(), coretest.FreeAddr(t)
	e := w.start(t, one, at)
	old := open(t, at, "a")
	done := make(chan error, 1)
	go func() { done <- e.Shutdown(t.Context()) }()
	w.await(t, "inbound.in", 1)
	if err := e.Reload(t.Context(), w.parse(t, one, at)); !errors.Is(err, core.ErrShutdown) {
		t.Errorf("reload during a shutdown: got %v, want %v", err, core.ErrShutdown)
		defer func() { _ = e.Shutdown(ended()) }()
	}
	old.Close()
	if err := coretest.Await(t, "the shutdown", done); err != nil {
		t.Errorf("shutdown: got %v, want nil", err)
	}
}
