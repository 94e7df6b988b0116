package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// The timeouts of the pipelines in these tests.
const (
	dialTimeout = 10 * time.Second
	idleTimeout = 5 * time.Minute
)

// stage is a pipeline with fakes on both sides.
type stage struct {
	*pipeline.Pipeline
	cfg    pipeline.Config
	dialer *coretest.Dialer
	gate   *coretest.Gate
	log    *bytes.Buffer // may be read once the gate was told of an end
	visits uint16
}

// newStage returns a stage that is drained and checked at the end of the test.
func newStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{dialer: coretest.NewDialer(), gate: new(coretest.Gate), log: new(bytes.Buffer)}
	s.cfg = pipeline.Config{
		Name: "test", Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Gates: []core.Gate{s.gate}, Dialer: s.dialer, DialTimeout: dialTimeout, IdleTimeout: idleTimeout,
	}
	s.Pipeline = pipeline.New(s.cfg)
	t.Cleanup(func() {
		s.Drain(ended(), ended())
		if n := s.Live(); n != 0 {
			t.Errorf("live streams after Drain: got %d, want 0", n)
		}
		s.gate.Check(t)
	})
	return s
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// visit is one client, and the core.Pending that stands for it.
type visit struct {
	far, near core.Stream // the client's end and the pipeline's
	request   *core.Request
	err       error         // of Accept
	panics    any           // of Accept
	replies   chan error    // nil from Accept, the cause from Reject
	returned  chan struct{} // gets one when HandleStream has returned
	accepted  atomic.Bool
}

func (v *visit) Accept() (core.Stream, error) {
	if v.panics != nil {
		panic(v.panics)
	}
	v.accepted.Store(true)
	v.replies <- nil
	if v.err != nil {
		v.near.Close()
		return nil, v.err
	}
	return v.near, nil
}

func (v *visit) Reject(cause error) {
	v.replies <- cause
	v.near.Close()
}

// visit makes a client with a request.
func (s *stage) visit(t testing.TB, pair func(testing.TB) (a, b core.Stream)) *visit {
	t.Helper()
	s.visits++
	v := &visit{replies: make(chan error, 4), returned: make(chan struct{}, 1)}
	v.far, v.near = pair(t)
	t.Cleanup(func() { v.far.Close(); v.near.Close() })
	v.request = &core.Request{
		ID: uint64(s.visits), Network: core.TCP, User: "alice", Flow: new(core.Flow),
		Client: core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 4710+s.visits), Network: core.TCP, Inbound: "in"},
		Target: core.NewIPAddr(netip.MustParseAddr("198.51.100.7"), 443),
	}
	return v
}

// serve gives the client to the pipeline.
func (s *stage) serve(t testing.TB, v *visit) {
	t.Helper()
	if err := s.Admit(v.request.Client); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.HandleStream(t.Context(), v.request, v, nil)
		v.returned <- struct{}{}
	}()
}

// reply checks the one reply that the client got: two if Accept failed.
func (v *visit) reply(t testing.TB, want error) {
	t.Helper()
	if got := coretest.Await(t, "the reply", v.replies); !errors.Is(got, want) || (got == nil) != (want == nil) {
		t.Errorf("reply: got %v, want %v", got, want)
	}
	coretest.Await(t, "the return of HandleStream", v.returned)
	if v.err != nil {
		if got := coretest.Await(t, "the second reply", v.replies); !errors.Is(got, v.err) {
			t.Errorf("second reply: got %v, want %v", got, v.err)
		}
	}
	if len(v.replies) != 0 {
		t.Errorf("a second reply: %v", <-v.replies)
	}
}

// memory makes a pair that works in a bubble.
var memory = coretest.Pairs[0].Make

// kinds checks what the gate was told, after n endings.
func (s *stage) kinds(t testing.TB, n int, want ...core.EventKind) []core.Event {
	t.Helper()
	events := s.gate.WaitEnds(t, n)
	if got := s.gate.Kinds(); !slices.Equal(got, want) {
		t.Errorf("events: got %v, want %v", got, want)
	}
	return events
}

func TestPipelineOrder(t *testing.T) {
	const wait = 50 * time.Millisecond
	for _, tc := range []struct {
		name      string
		wait      time.Duration
		pipelined string
		client    func(v *visit)
		early     bool          // the reply comes before the dial
		payload   string        // of the dial
		took      time.Duration // until the dial
	}{
		{"dial first", 0, "", func(*visit) {}, false, "", 0},
		{"dial first, with a payload", 0, "first", func(*visit) {}, false, "first", 0},
		{"payload in time", wait, "", func(v *visit) { time.Sleep(wait / 2); v.far.Write([]byte("late")) }, true, "late", wait / 2},
		{"payload at once", wait, "", func(v *visit) { v.far.Write([]byte("hello")) }, true, "hello", 0},
		{"no payload in time", wait, "", func(*visit) {}, true, "", wait},
		{"the client ends", wait, "", func(v *visit) { v.far.CloseWrite() }, true, "", 0},
		{"a payload is there already", wait, "first", func(*visit) {}, false, "first", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.dialer.Wait = tc.wait
				began := time.Now()
				v := s.visit(t, memory)
				v.request.Payload = []byte(tc.pipelined)
				far := make(chan core.Stream, 1)
				s.dialer.Stream = func(_ context.Context, r *core.Request) (core.Stream, error) {
					if early := v.accepted.Load(); early != tc.early {
						t.Errorf("a reply before the dial: got %t, want %t", early, tc.early)
					}
					if got := time.Since(began); got != tc.took || string(r.Payload) != tc.payload {
						t.Errorf("dial: got %q after %s, want %q after %s", r.Payload, got, tc.payload, tc.took)
					}
					near, other := coretest.Pipe()
					far <- other
					return near, nil
				}
				s.serve(t, v)
				tc.client(v)
				v.reply(t, nil)
				target := <-far
				coretest.Write(t, target, []byte("answer"))
				coretest.CloseWrite(t, target)
				coretest.ReadAll(t, v.far, []byte("answer"))
				v.far.CloseWrite()
				s.kinds(t, 1, core.Opened, core.Closed)
				if up, down := v.request.Flow.Up.Load(), v.request.Flow.Down.Load(); up != int64(len(tc.payload)) || down != 6 {
					t.Errorf("counters: got %d, %d, want %d, 6", up, down, len(tc.payload))
				}
				if n := netio.BuffersOut(); n != 0 {
					t.Errorf("buffers out: got %d, want 0", n)
				}
			})
		})
	}
}

// A client that fails before the dial, or whose Accept does, ends.
func TestPipelineClientFails(t *testing.T) {
	errGone := errors.New("gone")
	for _, tc := range []struct {
		name  string
		wait  time.Duration
		fail  func(v *visit)
		dials int
		err   error
	}{
		{"its early reply", time.Second, func(v *visit) { v.err = errGone }, 0, errGone},
		{"its first bytes", time.Second, func(v *visit) { ending.Reset(v.far) }, 0, syscall.ECONNRESET},
		{"its reply", 0, func(v *visit) { v.err = errGone }, 1, errGone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.dialer.Wait = tc.wait
				v := s.visit(t, memory)
				tc.fail(v)
				s.serve(t, v)
				v.reply(t, nil)
				events := s.kinds(t, 1, core.Closed)
				if got := events[0].Err; !errors.Is(got, tc.err) {
					t.Errorf("the event's error: got %v, want %v", got, tc.err)
				}
				if got := len(s.dialer.Requests()); got != tc.dials {
					t.Fatalf("dials: got %d, want %d", got, tc.dials)
				}
				if tc.dials > 0 {
					coretest.ReadAll(t, s.dialer.Accept(t), nil)
				}
			})
		})
	}
}

func TestPipelineDialFails(t *testing.T) {
	for _, tc := range []struct {
		err  error
		kind core.EventKind
	}{
		{syscall.ECONNREFUSED, core.DialFailed},
		{core.ErrDenied, core.Refused},
	} {
		for _, pair := range coretest.Pairs {
			for _, wait := range []time.Duration{0, time.Second} {
				t.Run(strings.Join([]string{tc.err.Error(), pair.Name, wait.String()}, ", "), func(t *testing.T) {
					s := newStage(t)
					s.dialer.Wait = wait
					s.dialer.Stream = func(context.Context, *core.Request) (core.Stream, error) { return nil, tc.err }
					v := s.visit(t, pair.Make)
					s.serve(t, v)
					want, end := tc.err, io.EOF
					if wait > 0 { // it was told that all is well, so it must not take the end for one
						want, end = nil, syscall.ECONNRESET
						coretest.Write(t, v.far, []byte("hello"))
					}
					v.reply(t, want)
					if n, err := v.far.Read(make([]byte, 1)); n != 0 || !errors.Is(err, end) {
						t.Errorf("the client's read: got %d, %v, want 0, %v", n, err, end)
					}
					events := s.kinds(t, 1, tc.kind)
					if !errors.Is(events[0].Err, tc.err) {
						t.Errorf("the event's error: got %v, want %v", events[0].Err, tc.err)
					}
				})
			}
		}
	}
}

// recorder is a gate that records the order of questions.
type recorder struct {
	coretest.Gate
	name  string
	asked *[]string
}

func (r *recorder) Admit(c core.Client) error {
	*r.asked = append(*r.asked, r.name)
	return r.Gate.Admit(c)
}

// Gates are asked in order up to the first refusal, and those that had admitted
// the client are told of it.
func TestPipelineAdmit(t *testing.T) {
	client := core.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1"), Network: "tcp", Inbound: "in"}
	for _, tc := range []struct {
		refuses string
		asked   []string
		told    string
	}{
		{"", []string{"a", "b", "c"}, ""},
		{"a", []string{"a"}, ""},
		{"b", []string{"a", "b"}, "a"},
		{"c", []string{"a", "b", "c"}, "ab"},
	} {
		t.Run("refused by "+tc.refuses, func(t *testing.T) {
			var asked []string
			gates := make([]*recorder, 3)
			var cfg pipeline.Config
			for i, name := range []string{"a", "b", "c"} {
				gates[i] = &recorder{name: name, asked: &asked}
				if name == tc.refuses {
					gates[i].Deny = func(core.Client) error { return core.ErrDenied }
				}
				cfg.Gates = append(cfg.Gates, gates[i])
			}
			err := pipeline.New(cfg).Admit(client)
			if refused := errors.Is(err, core.ErrDenied); refused != (tc.refuses != "") {
				t.Errorf("admit: got %v", err)
			}
			if !slices.Equal(asked, tc.asked) {
				t.Errorf("asked: got %v, want %v", asked, tc.asked)
			}
			for _, g := range gates {
				events := g.Events()
				if told := len(events) == 1; told != strings.Contains(tc.told, g.name) {
					t.Errorf("%s was told %v", g.name, events)
				} else if told && (events[0].Kind != core.Refused || events[0].Client != client || events[0].Err != core.ErrDenied) {
					t.Errorf("%s was told %+v, want a refusal of %v", g.name, events[0], client)
				}
				if tc.refuses != "" {
					g.Check(t)
				}
			}
		})
	}
}
