package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core/dropin"
)

// unbounded is a grace period that nobody waits out: connections are served until they end.
const unbounded = 10 * 365 * 24 * time.Hour

// brief is how long a program that a signal ends at once may take over its end.
const brief = 300 * time.Millisecond

// standIn is a program of another family, as its arguments and its file make it.
type standIn struct {
	served
	daemon      dropin.Daemon
	background  bool
	user        string   // whom the process becomes once its ports are open; "": it stays who it is
	lines       []string // of the log, once its ports are open
	interrupted int      // the exit status after SIGINT

	found *dropin.User  // user; nil for ""
	child *dropin.Child // nil in the foreground
	drain <-chan os.Signal
	open  atomic.Bool // its ports are open
}

// exit is the end of a program with a status of its own, which has said why.
type exit struct{ status int }

func (e *exit) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// stand runs a program in the foreground, or has it run in the background. Its errors are not
// reported yet, unless they are an exit.
func (a *app) stand(p *standIn) error {
	if p.user != "" {
		var err error
		if p.found, err = dropin.FindUser(p.user); err != nil {
			return fail(err)
		}
	}
	if p.background && !dropin.IsDaemon() {
		if err := p.daemon.Start(); err != nil {
			return fail(err)
		}
		fmt.Fprintln(a.Stdout, "started")
		return nil
	}
	if p.background {
		var err error
		if p.child, err = p.daemon.Attach(); err != nil {
			p.child.Fail(err)
			return fail(err)
		}
	}
	signals, stop := dropin.Drains()
	defer stop()
	p.drain = signals
	p.standIn = p
	err := a.run(p.served)
	if f, isFailure := err.(*failure); isFailure && f.err != nil && p.child != nil {
		p.child.Fail(f.err)
	}
	return err
}

// opened is called once all ports are open: the process becomes its user, says so and tells
// the process that started it.
func (p *standIn) opened(log *slog.Logger) error {
	if p.found != nil {
		if err := p.found.Become(); err != nil {
			return err
		}
	}
	p.open.Store(true)
	for _, line := range p.lines {
		log.Info(line)
	}
	if p.child != nil {
		p.child.Ready()
	}
	return nil
}

// drains returns the signals to serve out what is open and end.
func (s *service) drains() <-chan os.Signal {
	if s.standIn == nil {
		return nil
	}
	return s.standIn.drain
}

// serveOut stops accepting and serves what is open until it ends. A successor can have the
// ports and the pid file at once.
func (s *service) serveOut() error {
	if s.standIn.child != nil {
		s.standIn.child.Release()
	}
	s.grace = unbounded
	return s.shutdown("SIGQUIT")
}

// leave ends at once, as the programs do that umbra stands in for.
func (s *service) leave(sig os.Signal) error {
	s.log.Info("ended by a signal", slog.String("signal", sig.String()))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan struct{})
	go func() { _ = s.engine.Shutdown(ctx); close(done) }()
	select {
	case <-done:
	case <-time.After(brief):
	}
	if sig == syscall.SIGINT && s.standIn.interrupted != 0 {
		return &exit{s.standIn.interrupted}
	}
	return nil
}

// calm is a handler that makes notes of warnings until a program has opened its ports: what
// its file and its flags deserve is said in the program's own words, and tools count the lines.
type calm struct {
	slog.Handler
	program *standIn
}

// Handle implements slog.Handler.
func (c calm) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn && !c.program.open.Load() {
		r.Level = slog.LevelInfo
		if !c.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c calm) WithAttrs(attrs []slog.Attr) slog.Handler {
	return calm{c.Handler.WithAttrs(attrs), c.program}
}

// WithGroup implements slog.Handler.
func (c calm) WithGroup(name string) slog.Handler { return calm{c.Handler.WithGroup(name), c.program} }
