package core_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// carrier is a transport that can tell whether its options suffice.
type carrier struct{ server, client error }

func (carrier) Client(_ context.Context, wire core.Stream, _ core.Addr) (core.Stream, error) {
	return wire, nil
}

func (carrier) Server(_ context.Context, wire core.Stream) (core.Stream, error) { return wire, nil }

func (c carrier) CheckServer() error { return c.server }
func (c carrier) CheckClient() error { return c.client }

// simple is one that can't.
type simple struct{ core.Transport }

func TestTransports(t *testing.T) {
	errCert := errors.New("no cert")
	onlyClient := carrier{server: errCert}
	env := coretest.Env(t)
	env.Graph = coretest.Graph{
		core.Ref[core.Transport]("both"): carrier{}, core.Ref[core.Transport]("client"): onlyClient, core.Ref[core.Transport]("simple"): simple{},
	}
	for _, tc := range []struct {
		name           string
		refs           []core.Ref[core.Transport]
		server, client bool
	}{
		{"none", nil, true, true},
		{"unchecked", []core.Ref[core.Transport]{"simple"}, true, true},
		{"checked", []core.Ref[core.Transport]{"simple", "both"}, true, true},
		{"for clients", []core.Ref[core.Transport]{"both", "client"}, false, true},
		{"unknown", []core.Ref[core.Transport]{"both", "lost"}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, err := env.ServerTransports(tc.refs)
			if (err == nil) != tc.server || err == nil && len(server) != len(tc.refs) {
				t.Errorf("server: got %d, %v, want all %t", len(server), err, tc.server)
			}
			client, err := env.ClientTransports(tc.refs)
			if (err == nil) != tc.client || err == nil && len(client) != len(tc.refs) {
				t.Errorf("client: got %d, %v, want all %t", len(client), err, tc.client)
			}
		})
	}
	_, err := env.ServerTransports([]core.Ref[core.Transport]{"client"})
	var option *core.OptionError
	if !errors.As(err, &option) || option.Key != "transport" || !errors.Is(err, errCert) || !strings.Contains(err.Error(), "transport.client") {
		t.Errorf("got %v, want an error for the key transport that names transport.client", err)
	}
}

func TestReferences(t *testing.T) {
	for _, tc := range []struct {
		ref     core.Reference
		section core.Section
	}{
		{core.Ref[core.Cipher]("x"), core.SectionCipher},
		{core.Ref[core.Outbound]("x"), core.SectionOutbound},
		{core.Ref[core.Resolver]("x"), core.SectionResolver},
		{core.Ref[core.Transport]("x"), core.SectionTransport},
	} {
		if tc.ref.RefSection() != tc.section || tc.ref.RefName() != "x" {
			t.Errorf("%T: got %s.%s, want %s.x", tc.ref, tc.ref.RefSection(), tc.ref.RefName(), tc.section)
		}
	}
}

func TestNextID(t *testing.T) {
	var p core.Process
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{0: true}
	for range 8 {
		all.Go(func() {
			for range 100 {
				id := p.NextID()
				mu.Lock()
				if seen[id] {
					t.Errorf("ID %d: got it twice, or 0", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
}
