package group_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/outbound/group"
)

func probe(t testing.TB, target string) *group.Probe {
	t.Helper()
	p := &group.Probe{Every: option.Duration(time.Minute), Timeout: option.Duration(3 * time.Second)}
	if err := p.Target.UnmarshalText([]byte(target)); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProbes has probes take a member out that requests do not use, and bring it back.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, first{}, func(o *group.Options) { o.Probe = probe(t, "www.example.org:80") })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var silent sync.Map // members that don't answer
		for _, m := range w.members {
			m.Stream = func(_ context.Context, r *core.Request) (core.Stream, error) {
				if r.Client.Addr.IsValid() || r.Target.String() != "www.example.org:80" {
					t.Errorf("the probe is the request %+v", r)
				}
				near, far := coretest.Pipe()
				go func() {
					time.Sleep(20 * time.Millisecond)
					if _, quiet := silent.Load(m); !quiet {
						_, _ = far.Write([]byte("HTTP/1.1 200 OK\r\n"))
					}
					_, _ = io.Copy(io.Discard, far)
					far.Close()
				}()
				return near, nil
			}
		}
		var running sync.WaitGroup
		running.Go(func() { w.group.Run(ctx) })
		time.Sleep(10 * time.Minute)
		b := w.group.Members()[1]
		if delay, at := b.Delay(); delay != 20*time.Millisecond || time.Since(at) > 2*time.Minute {
			t.Errorf("delay: got %s at %s", delay, at)
		}
		if n := w.members[1].dials(); n < 9 || n > 12 {
			t.Errorf("got %d probes in ten minutes", n)
		}
		silent.Store(w.members[1], true)
		time.Sleep(5 * time.Minute)
		if !b.IsOut() || w.group.Members()[0].IsOut() || w.lines("probe: ") != 1 {
			t.Errorf("out: %t and %t, log\n%s", b.IsOut(), w.group.Members()[0].IsOut(), w.log)
		}
		silent.Clear()
		time.Sleep(5 * time.Minute)
		if b.IsOut() {
			t.Error("still out")
		}
		w.group.Retire()
		running.Wait()
	})
}

// TestProbeQuestion has a server read what a probe sends: to port 443 the beginning of TLS,
// to others HTTP.
func TestProbeQuestion(t *testing.T) {
	for _, target := range []string{"www.example.org:443", "www.example.org:80"} {
		w := newWorld(t, 1, first{}, func(o *group.Options) { o.Probe = probe(t, target) })
		ctx, cancel := context.WithCancel(t.Context())
		name := make(chan string, 1)
		w.members[0].Stream = func(_ context.Context, r *core.Request) (core.Stream, error) {
			near, far := coretest.Pipe()
			payload := append([]byte(nil), r.Payload...)
			go func() {
				defer far.Close()
				in := &served{far, io.MultiReader(newReader(payload), far)}
				if r.Target.Port() == 443 {
					var asked string
					_ = tls.Server(in, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
						asked = h.ServerName
						return nil, errors.New("that is all")
					}}).Handshake()
					name <- asked
					return
				}
				q, err := http.ReadRequest(bufio.NewReader(in))
				if err != nil {
					name <- err.Error()
					return
				}
				name <- q.Host
				_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\n\r\n")
			}()
			return near, nil
		}
		var running sync.WaitGroup
		running.Go(func() { w.group.Run(ctx) })
		if got := coretest.Await(t, "a probe", name); got != "www.example.org" && got != "www.example.org:80" {
			t.Errorf("got %q", got)
		}
		coretest.Eventually(t, "measure", func() bool { _, at := w.group.Members()[0].Delay(); return !at.IsZero() })
		cancel()
		running.Wait()
	}
}

// served is a stream whose first bytes were the payload of a dial.
type served struct {
	core.Stream
	from io.Reader
}

func (s *served) Read(p []byte) (int, error) { return s.from.Read(p) }
