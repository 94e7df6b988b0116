package engine_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/plugins"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should happen at once; tests that pass don't wait for it.
const patience = 20 * time.Second

// start returns a running engine that is shut down at the end of the test.
func (w *world) start(t testing.TB, text string, at ...netip.AddrPort) *engine.Engine {
	t.Helper()
	e := engine.New(&w.reg, coretest.Log(t))
	if err := e.Start(t.Context(), w.parse(t, text, at...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(ended()) })
	return e
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// connect makes a connection that does not hang the test.
func connect(t testing.TB, at netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// request sends a request and returns the greeting.
func request(conn net.Conn) (string, error) {
	if _, err := conn.Write([]byte("r")); err != nil {
		return "", err
	}
	var b [1]byte
	_, err := io.ReadFull(conn, b[:])
	return string(b[:]), err
}

// echo checks that the stream is alive.
func echo(t testing.TB, conn net.Conn) {
	t.Helper()
	var b [4]byte
	if _, err := conn.Write([]byte("ping")); err != nil {
		t.Errorf("write: %v", err)
	} else if _, err := io.ReadFull(conn, b[:]); err != nil || string(b[:]) != "ping" {
		t.Errorf("echo: got %q, %v, want ping", b, err)
	}
}

// open makes a stream that is served by an outbound with the given greeting.
func open(t testing.TB, at netip.AddrPort, greeting string) *net.TCPConn {
	t.Helper()
	conn := connect(t, at)
	if got, err := request(conn); got != greeting || err != nil {
		t.Fatalf("greeting: got %q, %v, want %q", got, err, greeting)
	}
	return conn
}

// free checks that nothing listens on an address.
func free(t testing.TB, at netip.AddrPort) {
	t.Helper()
	ln, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Errorf("%s is not free: %v", at, err)
		return
	}
	ln.Close()
}

// wants checks an error's text.
func wants(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// All mistakes that constructors find are reported, each once and at its place,
// however many components need the one that has it.
func TestBuildMistakes(t *testing.T) {
	w := newWorld()
	at := coretest.FreeAddr(t)
	text := `[pipeline.p]
chain = ["inbound.in", "outbound.out", "outbound.next"]
[inbound.in]
kind = "tiny"
listen = "@1"
cipher = "bad"
[outbound.out]
kind = "echo"
cipher = "bad"
[outbound.next]
kind = "echo"
via = "out"
worse = "of next, not seen as its own dependency fails"
[cipher.bad]
kind = "key"
worse = "no such file"
wrong = "too short"
[cipher.unused]
kind = "key"
wrong = "also wrong"
[cipher.panics]
kind = "key"
panic = "slice bounds"
`
	var log strings.Builder
	want := `f:16:9: cipher.bad.worse: no such file
f:17:9: cipher.bad.wrong: too short
f:20:9: cipher.unused.wrong: also wrong
f:21:1: cipher.panics: panic: slice bounds`
	f := w.parse(t, text, at)
	wants(t, engine.Check(&w.reg, f, slog.New(slog.NewTextHandler(&log, nil))), want)
	for _, part := range []string{"level=ERROR", "constructor panicked", "component=cipher.panics", "goroutine"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("log: got %q, want %q in it", log.String(), part)
		}
	}
	e := engine.New(&w.reg, coretest.Log(t))
	wants(t, e.Start(t.Context(), f), want)
	free(t, at)
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown of what never ran: got %v, want nil", err)
	}
}

// The kinds that ship place their mistakes.
func TestBuildStandard(t *testing.T) {
	var reg core.Registry
	plugins.Standard(&reg)
	f, err := config.Load("../../config.example.toml", &reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Check(&reg, f, coretest.Log(t)); err != nil {
		t.Errorf("the example: got %v, want nil", err)
	}
	f, err = config.Parse("f", []byte(`[pipeline.p]
chain = ["inbound.socks5", "outbound.out", "outbound.direct"]
[inbound.socks5]
listen = ":1080"
[outbound.out]
kind = "ss"
server = "127.0.0.1:8388"
cipher = "c"
[outbound.other]
kind = "ss"
server = "127.0.0.1:8388"
cipher = "c"
[outbound.direct]
[cipher.c]
kind = "aes-256-gcm"
password_file = "/nowhere/at/all"
`), &reg)
	if err != nil {
		t.Fatal(err)
	}
	err = engine.Check(&reg, f, coretest.Log(t))
	if err == nil {
		t.Fatal("got nil, want mistakes")
	}
	places := []string{"f:4:10: inbound.socks5.listen: ", "f:16:17: cipher.c.password_file: "}
	lines := strings.Split(err.Error(), "\n")
	if !slices.EqualFunc(lines, places, strings.HasPrefix) {
		t.Errorf("got %q, want one line with each of %q", lines, places)
	}
}

// two is a file with two pipelines.
const two = one + `
[pipeline.q]
chain = ["inbound.in2", "outbound.out"]
[inbound.in2]
kind = "tiny"
listen = "@2"
`

// Start binds all addresses or none.
func TestStartBinds(t *testing.T) {
	w := newWorld()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at, busy := coretest.FreeAddr(t), taken.Addr().(*net.TCPAddr).AddrPort()
	e := engine.New(&w.reg, coretest.Log(t))
	f := w.parse(t, two, at, busy)
	wants(t, e.Start(t.Context(), f), "f:17:10: inbound.in2.listen: listen on "+busy.String()+": bind: address already in use")
	free(t, at)
	taken.Close()
	if err := e.Start(t.Context(), f); err != nil {
		t.Fatalf("start once the address is free: %v", err)
	}
	open(t, at, "a").Close()
	open(t, busy, "a").Close()
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: got %v, want nil", err)
	}
	free(t, at)
	free(t, busy)
	if err := e.Start(t.Context(), f); !errors.Is(err, core.ErrShutdown) {
		t.Errorf("start after a shutdown: got %v, want %v", err, core.ErrShutdown)
	}
}

// What others need is shut down after them, and what fails is told.
func TestShutdownOrder(t *testing.T) {
	w := newWorld()
	w.fails["cipher.k"], w.fails["outbound.out"] = errors.New("disk full"), errors.New("gone")
	e := w.start(t, one, coretest.FreeAddr(t))
	err := e.Shutdown(t.Context())
	for _, want := range []string{"shut down cipher/k: disk full", "shut down outbound/out: gone"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	got := w.noted()
	order := []string{"down inbound.in", "down outbound.out", "down cipher.k"}
	for i, event := range order {
		if n := slices.Index(got, event); n < 0 || i > 0 && n < slices.Index(got, order[i-1]) {
			t.Errorf("got %q, want %q in this order", got, order)
		}
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("second shutdown: got %v, want nil", err)
	}
}

// A shutdown waits for the streams that run and cuts what is left when its
// context ends.
func TestShutdownDrains(t *testing.T) {
	w, at := newWorld(), coretest.FreeAddr(t)
	e := w.start(t, one, at)
	quick, slow := open(t, at, "a"), open(t, at, "a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- e.Shutdown(ctx) }()
	coretest.Await(t, "the end of the inbound", w.down)
	free(t, at)
	echo(t, quick)
	quick.Close()
	echo(t, slow)
	select {
	case err := <-done:
		t.Fatalf("shutdown returned %v while a stream ran", err)
	default:
	}
	cancel()
	if err := coretest.Await(t, "the shutdown", done); err != nil {
		t.Errorf("shutdown: got %v, want nil", err)
	}
	if n, err := slow.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the last stream's read: got %d, %v, want 0, an error", n, err)
	}
}

// Clients that have made no request don't hold up a shutdown.
func TestShutdownDropsHandshakes(t *testing.T) {
	w, at := newWorld(), coretest.FreeAddr(t)
	e := w.start(t, one, at)
	silent := connect(t, at)
	open(t, at, "a").Close() // so the silent one has been accepted
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: got %v, want nil", err)
	}
	if n, err := silent.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the silent client's read: got %d, %v, want 0, EOF", n, err)
	}
}

// An inbound that stops by itself is told of, once.
func TestFailed(t *testing.T) {
	w := newWorld()
	text := strings.ReplaceAll(two, `kind = "tiny"`, "kind = \"tiny\"\nbreaks = true")
	e := w.start(t, text, coretest.FreeAddr(t), coretest.FreeAddr(t))
	err := coretest.Await(t, "a failure", e.Failed())
	if got := err.Error(); got != "inbound.in: broken" && got != "inbound.in2: broken" {
		t.Errorf("got %q, want the inbound and its error", got)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: got %v, want nil", err)
	}
}
