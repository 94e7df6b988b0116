package engine_test

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/engine"
)

// loopbacks returns n loopback addresses with one free port.
func loopbacks(t testing.TB, n int) (at []netip.AddrPort) {
	t.Helper()
	ip, port := netip.MustParseAddr("127.0.0.1"), coretest.FreeAddr(t).Port()
	for range n {
		at = append(at, netip.AddrPortFrom(ip, port))
		ip = ip.Next()
	}
	return at
}

// listens returns a file whose inbound listens on a list.
func listens(greeting, list string) string {
	return strings.Replace(greets(one, greeting), `"@1"`, list, 1)
}

// Each address of a list is served, and logged. With a reload addresses are added and
// removed; those that stay refuse nobody, and no stream ends.
func TestReloadList(t *testing.T) {
	w, at, lines := newWorld(), loopbacks(t, 3), new(coretest.Lines)
	e := engine.New(&w.reg, slog.New(slog.NewTextHandler(lines, nil)))
	if err := e.Start(t.Context(), w.parse(t, listens("a", `["@1", "@2"]`), at...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(ended()) })
	for _, a := range at[:2] {
		if got := lines.With("msg=listening pipeline=p inbound=in address=" + a.String()); len(got) != 1 {
			t.Errorf("%v: got lines %q, want one", a, got)
		}
	}
	free(t, at[2])
	first, second := open(t, at[0], "a"), open(t, at[1], "a")

	w.reload(t, e, listens("b", `["@1", "@2", "@3"]`), at...)
	open(t, at[2], "b")
	becomes(t, at[0], "b")
	becomes(t, at[1], "b")

	w.reload(t, e, listens("c", `["@1", "@3"]`), at...)
	becomes(t, at[0], "c")
	becomes(t, at[2], "c")
	w.await(t, "inbound.in", 2)
	free(t, at[1])
	echo(t, first)
	echo(t, second)

	w.reload(t, e, listens("d", `"@3"`), at...)
	becomes(t, at[2], "d")
	w.await(t, "inbound.in", 3)
	free(t, at[0])
	echo(t, first)
	echo(t, second)
}

// Of a list each address that can't be listened on is a problem of its own, at its place,
// and a file that has one changes nothing.
func TestListProblems(t *testing.T) {
	w, at := newWorld(), loopbacks(t, 4)
	for _, a := range at[2:] {
		taken, err := net.Listen("tcp", a.String())
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
	}
	e := w.start(t, one, at[0])
	err := e.Reload(t.Context(), w.parse(t, listens("b", "[\"@1\", \"@2\",\n  \"@3\", \"@4\"]"), at...))
	first, second := at[2].String(), at[3].String()
	column := len(`  "", `) + len(first) + 1
	wants(t, err, "f:7:3: inbound.in.listen: listen on "+first+": bind: address already in use\n"+
		"f:7:"+string(rune('0'+column/10))+string(rune('0'+column%10))+": inbound.in.listen: listen on "+second+": bind: address already in use")
	free(t, at[1])
	open(t, at[0], "a")
}

// Two inbounds on one address are a mistake, also where the file alone does not show it.
func TestListShared(t *testing.T) {
	w, at := newWorld(), loopbacks(t, 2)
	e := engine.New(&w.reg, coretest.Log(t))
	f := w.parse(t, two, at[0], at[0])
	wants(t, e.Start(t.Context(), f), "f:15:1: inbound.in2: "+at[0].String()+" is also taken by inbound.in")
	free(t, at[0])
}
