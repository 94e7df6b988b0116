package sip003

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// firstPause is how long a plugin that has ended is left alone before it is started
	// again. The pause doubles with each end, until lastPause.
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
	// steady is how long a plugin runs until it counts as one that works: the pause is
	// the first one again.
	steady = time.Minute
	// moment is the longest pause for which a dial waits.
	moment = time.Second
	// patience is how long a plugin may take to end when it is asked to.
	patience = 5 * time.Second
)

// child is a plugin that is kept running.
type child struct {
	use
	log     *slog.Logger
	holders int // guarded by children.mu

	stop    context.CancelFunc
	stopped context.Context
	ended   chan struct{} // closed when run has returned

	mu    sync.Mutex
	state state // guarded by mu
}

// state is how a child is.
type state struct {
	at      netip.AddrPort // where the plugin listens for us, on the client's side; not valid while it does not run
	since   time.Time      // when it was started
	proven  bool           // it has accepted a connection
	why     error          // why it does not run
	soon    bool           // it is started again within a moment: who dials waits
	changed chan struct{}  // closed when the state has changed
}

func newChild(u use, log *slog.Logger) *child {
	c := &child{use: u, log: log.With(slog.String("plugin", filepath.Base(u.path))), holders: 1, ended: make(chan struct{})}
	c.stopped, c.stop = context.WithCancel(context.Background())
	c.state = state{why: errStarting, soon: true, changed: make(chan struct{})}
	return c
}

// retire ends the plugin and waits for its end.
func (c *child) retire() {
	c.stop()
	<-c.ended
}

func (c *child) isRetired() bool { return c.stopped.Err() != nil }

// set changes the state.
func (c *child) set(s state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.state.changed)
	s.changed = make(chan struct{})
	c.state = s
}

// prove notes that the plugin at an address has accepted a connection.
func (c *child) prove(at netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.at == at {
		c.state.proven = true
	}
}

func (c *child) now() state {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// run starts the plugin, again and again, until it is retired.
func (c *child) run() {
	defer close(c.ended)
	pause := firstPause
	for !c.isRetired() {
		began := time.Now()
		err := c.once()
		if c.isRetired() {
			break
		}
		if time.Since(began) >= steady {
			pause = firstPause
		}
		c.set(state{why: err, soon: pause <= moment})
		c.log.Error("the plugin has ended and is started again", slog.Any("err", err), slog.Duration("after", pause))
		select {
		case <-time.After(pause):
		case <-c.stopped.Done():
		}
		pause = min(2*pause, lastPause)
	}
	c.set(state{why: errors.New("it has been ended")})
}

// once runs the plugin until it ends.
func (c *child) once() error {
	local := c.local
	if !c.isServer() {
		var err error
		if local, err = freePort(); err != nil {
			return fmt.Errorf("find a free port for the plugin to listen on: %w", err)
		}
	}
	cmd := exec.Command(c.path, arguments(c.command)...)
	cmd.Env = environment(c.use, local)
	prepare(cmd)
	out := &lines{log: c.log}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	c.log.Info("plugin started", slog.Int("pid", cmd.Process.Pid), slog.String("remote", c.remote.String()))
	c.set(state{at: local, since: time.Now()})
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case <-done:
		case <-c.stopped.Done():
			end(cmd, done)
		}
	}()
	err := cmd.Wait()
	close(done)
	<-finished
	out.flush()
	if err == nil {
		err = errors.New("exit status 0")
	}
	return err
}

// arguments returns the arguments of a command line.
func arguments(c command) []string {
	if c.arguments == "" {
		return nil
	}
	return strings.Split(c.arguments, "\x00")
}

// environment returns what a plugin is told: what SIP003 has, and of our own environment
// what programs need to run, so that no secret of it is passed on.
func environment(u use, local netip.AddrPort) []string {
	env := inherited()
	host, port := u.remote.Host(), fmt.Sprint(u.remote.Port())
	env = append(env, "SS_REMOTE_HOST="+host, "SS_REMOTE_PORT="+port,
		"SS_LOCAL_HOST="+local.Addr().String(), fmt.Sprintf("SS_LOCAL_PORT=%d", local.Port()))
	if u.options != "" {
		env = append(env, "SS_PLUGIN_OPTIONS="+u.options)
	}
	return env
}

var _ net.Error = (*notRunning)(nil)

// notRunning is the error of a dial while the plugin does not run.
type notRunning struct {
	plugin string
	why    error
}

func (e *notRunning) Error() string {
	return fmt.Sprintf("the plugin %s does not run: %v", e.plugin, e.why)
}
func (e *notRunning) Unwrap() error   { return e.why }
func (e *notRunning) Timeout() bool   { return false }
func (e *notRunning) Temporary() bool { return true }
