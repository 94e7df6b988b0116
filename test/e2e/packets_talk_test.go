package e2e

import (
	"net"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// targetAddr is a target as a net.Addr; the host may be a name.
type targetAddr string

func (targetAddr) Network() string  { return "udp" }
func (a targetAddr) String() string { return string(a) }

// send sends payload to target, "host:port".
func (a *association) send(t testing.TB, target, payload string) {
	t.Helper()
	if _, err := a.WriteTo([]byte(payload), targetAddr(target)); err != nil {
		t.Fatalf("send %d bytes to %s: %v", len(payload), target, err)
	}
}

// receive returns the next answer and its source.
func (a *association) receive(t testing.TB) (payload, source string) {
	t.Helper()
	b := make([]byte, core.MaxDatagram)
	n, addr, err := a.ReadFrom(b)
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return string(b[:n]), addr.String()
}

// expect receives payload from source.
func (a *association) expect(t testing.TB, source, payload string) {
	t.Helper()
	got, from := a.receive(t)
	if from != source || got != payload {
		t.Fatalf("got %s from %s, want %s from %s", summary(got), from, summary(payload), source)
	}
}

// exchange sends payload to an echoing target and gets it back.
func (a *association) exchange(t testing.TB, target, payload string) {
	t.Helper()
	a.send(t, target, payload)
	a.expect(t, target, payload)
}

// until receives answers up to the one with the payload last, and returns the number of answers before it.
func (a *association) until(t testing.TB, last string) (before int) {
	t.Helper()
	for got, _ := a.receive(t); got != last; got, _ = a.receive(t) {
		before++
	}
	return before
}

// collect receives all answers until the association ends.
func (a *association) collect() *inbox {
	in := newInbox()
	go func() {
		b := make([]byte, core.MaxDatagram)
		for {
			n, addr, err := a.ReadFrom(b)
			if err != nil {
				return
			}
			in.note(string(b[:n]), addr.(*net.UDPAddr).AddrPort())
		}
	}()
	return in
}
