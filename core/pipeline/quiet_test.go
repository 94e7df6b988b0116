package pipeline_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/panics"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// A client that hides damage is read on even if its first bytes, which are read
// before the dial, are damaged; nothing is dialled for it.
func TestPipelineHidesDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.dialer.Wait = time.Second
		v := s.visit(t, memory)
		absorb := make(chan struct{})
		v.near = absorbing{&faulty{Stream: v.near, err: core.ErrAuth, absorb: absorb}}
		s.serve(t, v)
		end := make(chan error, 1)
		go func() {
			_, err := v.far.Read(make([]byte, 1))
			end <- err
		}()
		synctest.Wait()
		select {
		case err := <-end:
			t.Errorf("the client was ended before it was absorbed: %v", err)
		default:
		}
		close(absorb)
		if err := <-end; err != io.EOF {
			t.Errorf("the client's read: got %v, want io.EOF", err)
		}
		v.reply(t, nil)
		if n := len(s.dialer.Requests()); n != 0 {
			t.Errorf("dials: got %d, want 0", n)
		}
		s.kinds(t, 1, core.Closed)
	})
}

// A client that hides damage and ends in the middle of a message is answered as
// one that ends between two.
func TestRelayCutOff(t *testing.T) {
	r := startRelay(t, coretest.Pairs[0].Make, coretest.Pairs[1].Make, func(r *relayed) {
		r.near = absorbing{&faulty{Stream: r.near, bytes: []byte("good"), err: io.ErrUnexpectedEOF}}
	})
	defer r.close()
	coretest.ReadAll(t, r.target, []byte("good"))
	coretest.Write(t, r.target, []byte("answer"))
	coretest.Read(t, r.client, []byte("answer"))
	coretest.CloseWrite(t, r.target)
	coretest.ReadAll(t, r.client, nil)
	if err := coretest.Await(t, "the relay's end", r.done); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("relay: got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// panicky is a gate that panics.
type panicky struct{ inAdmit bool }

func (p panicky) Admit(core.Client) error {
	if p.inAdmit {
		panic("no map")
	}
	return nil
}

func (p panicky) Observe(core.Event) { panic("no map") }

// A gate that panics admits nobody, and its panic when it is told of an end
// keeps no stream alive.
func TestGatePanics(t *testing.T) {
	var log bytes.Buffer
	cfg := pipeline.Config{
		Log: slog.New(slog.NewTextHandler(&log, nil)), Dialer: coretest.NewDialer(),
		DialTimeout: dialTimeout, IdleTimeout: idleTimeout, Gates: []core.Gate{panicky{inAdmit: true}},
	}
	var panicked *panics.Error
	if err := pipeline.New(cfg).Admit(core.Client{}); !errors.As(err, &panicked) {
		t.Errorf("Admit: got %v, want a PanicError", err)
	}

	s := newStage(t)
	cfg.Gates, cfg.Dialer = []core.Gate{panicky{}, s.gate}, s.dialer
	s.Pipeline = pipeline.New(cfg)
	v := s.visit(t, memory)
	s.serve(t, v)
	v.reply(t, nil)
	s.dialer.Accept(t).Close()
	v.far.Close()
	if n := s.Drain(t.Context(), t.Context()); n != 0 || s.Live() != 0 {
		t.Errorf("got %d cut and %d live, want none", n, s.Live())
	}
	s.kinds(t, 1, core.Opened, core.Closed)
	if !strings.Contains(log.String(), "gate panicked") {
		t.Errorf("the log does not tell of the panic:\n%s", log.String())
	}
}
