package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/plugins"
)

// output is what a service has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
	more chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait waits until the output contains s.
func (o *output) wait(t *testing.T, s string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !strings.Contains(o.String(), s) {
		select {
		case <-o.more:
		case <-late:
			t.Fatalf("no line has %q:\n%s", s, o)
		}
	}
}

// process is a service in this process.
type process struct {
	*output
	signals chan os.Signal
	status  chan int
}

func start(t *testing.T, file string, register ...func(*core.Registry)) *process {
	t.Helper()
	p := &process{&output{more: make(chan struct{}, 1)}, make(chan os.Signal, 8), make(chan int, 1)}
	console := app.Console{
		Args: []string{"run", "-"}, Stdin: strings.NewReader(file), Stdout: p, Stderr: p,
		Signals: func() (<-chan os.Signal, func()) { return p.signals, func() {} },
	}
	go func() { p.status <- app.Run(console, append(register, plugins.Standard)...) }()
	return p
}

// end waits for the exit status.
func (p *process) end(t *testing.T) int {
	t.Helper()
	select {
	case status := <-p.status:
		return status
	case <-time.After(20 * time.Second):
		t.Fatalf("the service goes on:\n%s", p)
		return 0
	}
}

// relay returns both ends of a connection through a SOCKS5 inbound.
func relay(t *testing.T, inbound int) (conn, target net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", inbound))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	port := l.Addr().(*net.TCPAddr).Port
	answer := make([]byte, 2+10)
	if _, err := conn.Write([]byte{5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, byte(port >> 8), byte(port)}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, answer); err != nil || answer[3] != 0 {
		t.Fatalf("got answer %v and error %v, want a relay", answer, err)
	}
	if target, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return conn, target
}

const socks = `
[pipeline.local]
chain = ["inbound.socks5", "outbound.direct"]
[inbound.socks5]
listen = "127.0.0.1:%d"
[outbound.direct]
allow = ["127.0.0.1"]
[process]
grace = "%s"
`

// TestSecondSignal ends a drain that would take a minute.
func TestSecondSignal(t *testing.T) {
	defer goleak.VerifyNone(t)
	port := freePorts(t, 1)[0]
	p := start(t, fmt.Sprintf(socks, port, "1m"))
	p.wait(t, "umbra started")
	conn, _ := relay(t, port)
	p.signals <- syscall.SIGTERM
	p.wait(t, "shutting down")
	p.signals <- syscall.SIGHUP // has no meaning any more
	p.signals <- syscall.SIGTERM
	if status := p.end(t); status != 1 {
		t.Errorf("got status %d, want 1", status)
	}
	p.wait(t, "umbra stopped, cut short by a second signal")
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("got %d bytes, want the connection cut", n)
	}
}

// TestGraceEnds cuts a connection that goes on for too long; that is in order.
func TestGraceEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	port := freePorts(t, 1)[0]
	p := start(t, fmt.Sprintf(socks, port, "10ms"))
	p.wait(t, "umbra started")
	relay(t, port)
	p.signals <- os.Interrupt
	if status := p.end(t); status != 0 {
		t.Errorf("got status %d, want 0", status)
	}
	p.wait(t, "umbra stopped\n")
}

// TestDrain waits for a connection that ends within the grace period.
func TestDrain(t *testing.T) {
	defer goleak.VerifyNone(t)
	port := freePorts(t, 1)[0]
	p := start(t, fmt.Sprintf(socks, port, "1m"))
	p.wait(t, "umbra started")
	conn, target := relay(t, port)
	p.signals <- syscall.SIGTERM
	p.wait(t, "shutting down")
	select {
	case status := <-p.status:
		t.Fatalf("got status %d before the connection ended", status)
	default:
	}
	conn.Close()
	target.Close()
	if status := p.end(t); status != 0 {
		t.Errorf("got status %d, want 0", status)
	}
}

// failing is an inbound that stops by itself.
type failing struct{}

func (failing) Listen(context.Context) error              { return nil }
func (failing) Serve(context.Context, core.Handler) error { return errors.New("the wire is gone") }
func (failing) Shutdown(context.Context) error            { return nil }

func TestInboundFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := start(t, `
[pipeline.local]
chain = ["inbound.failing", "outbound.direct"]
[inbound.failing]
[outbound.direct]
`, func(reg *core.Registry) {
		core.Add(&reg.Inbound, "failing", func(core.Env, struct{}) (core.Inbound, error) { return failing{}, nil })
	})
	if status := p.end(t); status != 1 {
		t.Errorf("got status %d, want 1", status)
	}
	p.wait(t, `ERROR an inbound stopped by itself err="inbound.failing: the wire is gone"`)
}

// TestBadFileIsQuick checks that a start that fails fails at once.
func TestBadFileIsQuick(t *testing.T) {
	defer goleak.VerifyNone(t)
	began := time.Now()
	p := start(t, "[inbound.socks5]\nlisten = 1080\n")
	if status := p.end(t); status != 1 {
		t.Errorf("got status %d, want 1", status)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v, want less than a second", took)
	}
	want := "stdin:1:1: no pipeline; write [pipeline.<name>] with a chain\n" +
		"stdin:2:10: inbound.socks5.listen: want a string such as \"127.0.0.1:1080\", got an integer\n"
	if got := p.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
