package ss

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/pipeline"
	"github.com/umbra-proxy/umbra/inbound"
	inss "github.com/umbra-proxy/umbra/inbound/ss"
)

// marker is a transport that records its name when it is built.
type marker struct {
	name  string
	built *[]string
	err   error
}

func (m marker) Client(_ context.Context, wire core.Stream, server core.Addr) (core.Stream, error) {
	*m.built = append(*m.built, m.name+" to "+server.String())
	return wire, m.err
}

func (m marker) Server(context.Context, core.Stream) (core.Stream, error) { return nil, m.err }

// TestTransports checks that transports are built from the wire up, and that the
// request goes through them.
func TestTransports(t *testing.T) {
	var built []string
	broken := errors.New("broken")
	g := coretest.Graph{
		core.Ref[core.Cipher]("house"):  newCipher(t, "house"),
		core.Ref[core.Transport]("low"): marker{"low", &built, nil}, core.Ref[core.Transport]("high"): marker{"high", &built, nil}, core.Ref[core.Transport]("broken"): marker{"broken", &built, broken},
	}
	wire := &recorder{}
	good := newOutbound(t, g, "192.0.2.1:1", Options{Cipher: "house", Transport: []core.Ref[core.Transport]{"low", "high"}})
	s, err := over(t, good, wire).DialStream(t.Context(), &core.Request{Target: addr(t, "example.com:443"), Payload: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if want := []string{"low to 192.0.2.1:1", "high to 192.0.2.1:1"}; !slices.Equal(built, want) {
		t.Errorf("got %q, want %q", built, want)
	}
	if len(wire.payloads[0]) > 0 || len(wire.writes) != 1 {
		t.Fatalf("got %d bytes beside the transports and %d writes through them, want 0 and 1", len(wire.payloads[0]), len(wire.writes))
	}
	if _, got := accepted(t, newCipher(t, "house"), wire.writes[0]); string(got) != "hello" {
		t.Errorf("got %q, want hello", got)
	}

	*wire = recorder{}
	bad := newOutbound(t, g, "192.0.2.1:1", Options{Cipher: "house", Transport: []core.Ref[core.Transport]{"low", "broken"}})
	if s, err := over(t, bad, wire).DialStream(t.Context(), &core.Request{Target: addr(t, "example.com:443")}); s != nil || !errors.Is(err, broken) || !wire.closed {
		t.Errorf("got %v, %v, closed %t, want %v and a closed wire", s, err, wire.closed, broken)
	}
}

// serve runs a server for c on loopback, TCP and UDP, until the test ends, and
// returns its address.
func serve(t testing.TB, c core.Cipher) string {
	t.Helper()
	env := coretest.Env(t)
	env.Graph = coretest.Graph{core.Ref[core.Cipher]("house"): c}
	o := inss.Options{Cipher: "house", Options: inbound.Options{MaxHandshakes: 64, ClientHandshakes: 64, MaxSessions: 64, ClientSessions: 64}}
	at := coretest.FreeAddr(t).String()
	o.Listen = make(option.ListenList, 1)
	if err := o.Listen[0].UnmarshalText([]byte(at)); err != nil {
		t.Fatal(err)
	}
	in, err := inss.New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := pipeline.New(pipeline.Config{Name: "server", Log: env.Log, Dialer: dial.Net{}, DialTimeout: time.Minute, IdleTimeout: time.Minute})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := in.Serve(context.Background(), p); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := in.Shutdown(ended); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown: %v", err)
		}
		p.Drain(ended, ended)
		serving.Wait()
	})
	return at
}

func TestConformance(t *testing.T) {
	c := newCipher(t, "house")
	g := ciphers(map[core.Ref[core.Cipher]]core.Cipher{"house": c})
	coretest.TestOutbound(t, func(t testing.TB) core.Outbound {
		return newOutbound(t, g, serve(t, c), Options{Cipher: "house"})
	})
}
