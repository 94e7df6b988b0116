package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/journey"
	"github.com/umbra-proxy/umbra/core/live"
	"github.com/umbra-proxy/umbra/core/logging"
)

// lastLines is how long the end waits for the last lines of the log to be written.
const lastLines = 2 * time.Second

// haste is how long cutting connections may take after a second signal.
const haste = time.Second

func (a *app) runCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "run FILE | LINK...",
		Short: "run the pipelines of a file, or the local side of ss:// links",
		Long: `run serves the pipelines of FILE until a signal ends it. "-" is the standard
input. The log goes to the standard error stream, or where [log] output says.

In place of a file it takes ss:// links, and serves SOCKS and HTTP on this machine
through their servers: the first that is well. umbra uri --toml prints that file.

  SIGHUP           reads FILE again; one with a mistake changes nothing. A log
                   file is opened again
  SIGTERM, SIGINT  stops accepting and waits for running connections, for the
                   time that [process] grace says; a second one cuts them

Exit status: 0 after a shutdown, 1 if FILE is bad, something failed or a second
signal cut the shutdown short, 2 for wrong usage.`,
		Example: `  umbra run config.example.toml
  umbra run 'ss://YWVzLTI1Ni1nY206cGFzc3dvcmQ@example.net:8388'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if isLinks, err := areLinks(args); isLinks || err != nil {
				return err
			}
			return exactlyOne("FILE")(cmd, args)
		},
		ValidArgsFunction:     completeFile,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if isLinks, _ := areLinks(args); isLinks {
				return a.run(a.links(args, listen))
			}
			if cmd.Flags().Changed("listen") {
				return errors.New("--listen is for links; a file says where its inbounds listen")
			}
			return a.run(a.file(args[0]))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultListen, "with links: the `ADDRESS` of the local side")
	return cmd
}

// served is what a service serves.
type served struct {
	name string // in messages: the path of a file
	// read reads it, at the start and for each reload, with what is made beside it.
	read func(beside ...config.Extra) (*config.File, error)

	standIn *standIn // the program that is stood in for; nil for none
}

// file is the file at path. The standard input can be read once.
func (a *app) file(path string) served {
	again := false
	return served{name: path, read: func(beside ...config.Extra) (*config.File, error) {
		if path == "-" && again {
			return nil, errFromStdin
		}
		again = true
		return a.load(path, beside...)
	}}
}

// made is a configuration that is made of something else, anew for each reload.
func (a *app) made(name string, text func() (string, error)) served {
	return served{name: name, read: func(beside ...config.Extra) (*config.File, error) {
		made, err := text()
		if err != nil {
			return nil, err
		}
		return config.LoadText(name, []byte(made), a.reg, beside...)
	}}
}

// service is a running file.
type service struct {
	*app
	served
	engine  *engine.Engine
	logs    *logs
	queue   *logging.Queue // of the log
	output  config.Log     // what queue was opened with
	log     *slog.Logger
	grace   time.Duration
	admin   *admin         // nil for none
	door    *door          // nil for none
	closing sync.WaitGroup // of doors that were replaced
	signals <-chan os.Signal

	managed managed // ports that other programs add

	source   *live.Source // what the doors show
	journeys *journey.Recorder
	tail     *tail
}

// run serves until a signal ends it.
func (a *app) run(what served) error {
	s := &service{app: a, served: what, journeys: journey.NewRecorder()}
	f, err := s.load()
	if err != nil {
		return fail(err)
	}
	signals, stop := a.Signals()
	defer stop()
	defer paceHeap()()
	defer trimMemory()()
	s.signals = signals
	if err := s.openLog(f.Log); err != nil {
		return fail(err)
	}
	last := lastLines
	if what.standIn != nil {
		last = brief
	}
	defer s.queue.Close(last)
	s.engine = engine.New(a.reg, s.log, s.journeys)
	s.source = live.New(live.Config{
		Engine: s.engine, Journeys: s.journeys, File: what.name, Version: versionOf(), LogTail: s.tail.last,
		Load: s.load, Check: s.checkFile, Replace: s.replace,
	})
	s.adopt(f)
	if err := s.engine.Start(context.Background(), f); err != nil {
		return fail(err)
	}
	defer func() { s.managed.close(); s.admin.close(); s.door.close(); s.closing.Wait() }()
	s.source.Serves(f, "start") // before anybody can ask
	if err := s.adoptAdmin(f); err != nil {
		_ = s.shutdown("failure") // the status is that of the failure
		return fail(err)
	}
	if err := s.adoptManager(f); err != nil {
		_ = s.shutdown("failure") // the status is that of the failure
		return fail(err)
	}
	if what.standIn != nil {
		if err := what.standIn.opened(s.log); err != nil {
			_ = s.shutdown("failure")
			return fail(err)
		}
	}
	if s.name == linkName {
		s.log.Info("ready for programs", slog.String("set", howTo(listenOf(f))))
	}
	s.log.Info("umbra started", slog.String("version", versionOf()), slog.Int("pid", os.Getpid()),
		slog.Int("pipelines", len(f.Pipelines)))
	return s.serve()
}

// adopt takes over what a file says of the process itself.
func (s *service) adopt(f *config.File) {
	s.adoptLog(f.Log)
	s.watch(f.Admin)
	s.grace = f.Process.Grace.Std()
	limits := limitsOf(f.Process)
	s.engine.Bound(limits)
	boundMemory(limits)
	for _, w := range f.Warnings {
		s.log.Warn("warning of the file", slog.String("warning", w.Error()))
	}
}

// watch has what the doors show recorded, if a file has a door.
func (s *service) watch(a config.Admin) {
	on := a.Socket != "" || a.Web.IsValid()
	s.journeys.Switch(on)
	s.tail.turn(on)
	s.engine.CountUsers(on)
}

// adoptAdmin opens the doors that the file wants: the socket, again if it was deleted, and
// the web. The old ones stay open if a new one can't be opened.
func (s *service) adoptAdmin(f *config.File) error {
	if s.admin == nil || s.admin.path != f.Admin.Socket || !s.admin.isThere() {
		var next *admin
		if f.Admin.Socket != "" {
			var err error
			if next, err = openAdmin(f.Admin.Socket, s.engine, s.source, s.log); err != nil {
				return f.AdminProblem("socket", err)
			}
		}
		if s.admin != nil {
			s.await(s.admin.retire())
		}
		s.admin = next
	}
	if s.door.serves(f.Admin) {
		return nil
	}
	secrets, err := readSecrets(f, s.log)
	if err != nil {
		return err
	}
	old := s.door
	if old != nil && old.admin.Web == f.Admin.Web { // only one can have the address
		s.await(old.retire())
		s.door, old = nil, nil
	}
	var next *door
	if f.Admin.Web.IsValid() {
		if next, err = openDoor(f, secrets, s.source, s.log); err != nil {
			return err
		}
	}
	if old != nil {
		s.await(old.retire())
	}
	s.door = next
	return nil
}

// await has the end of the service wait for that of a door. The service itself must not: the
// request that is being answered may be the one for this reload.
func (s *service) await(gone <-chan struct{}) {
	s.closing.Go(func() { <-gone })
}

// serve follows signals until one ends the service.
func (s *service) serve() error {
	for {
		select {
		case err := <-s.engine.Failed():
			s.log.Error("an inbound stopped by itself", slog.Any("err", err))
			_ = s.shutdown("failure") // the status is that of the failure
			return &failure{}
		case <-s.drains():
			return s.serveOut()
		case sig := <-s.signals:
			if sig != syscall.SIGHUP {
				if s.standIn != nil {
					return s.leave(sig)
				}
				return s.shutdown(sig.String())
			}
			s.queue.Reopen()
			s.reload()
		case work := <-s.source.Work():
			work()
		case work := <-s.managed.work:
			work()
		}
	}
}

// reload reads the file again. If it has a mistake, nothing changes.
func (s *service) reload() {
	f, err := s.load()
	if errors.Is(err, errFromStdin) {
		s.log.Error("not reloaded, the running configuration stays", slog.String("reason", "it came from the standard input"))
		return
	}
	_ = s.replace(f, err, "signal")
}

var errFromStdin = errors.New("the file came from the standard input, so it can't be read again")

// checkFile returns the mistakes of a file that building it shows.
func (s *service) checkFile(f *config.File) error {
	if err := engine.Check(s.reg, f, s.log); err != nil {
		return err
	}
	_, err := readSecrets(f, s.log)
	return err
}

// replace puts a file in the place of the one that is served. If loading it has failed, or
// it can't be served, nothing changes.
func (s *service) replace(f *config.File, err error, by string) error {
	if err == nil {
		err = s.engine.Reload(context.Background(), f)
	}
	if err != nil {
		lines := strings.Split(err.Error(), "\n")
		for _, line := range lines {
			s.log.Error("mistake in the new configuration", slog.String("err", line))
		}
		s.log.Error("not reloaded, the running configuration stays", slog.Int("mistakes", len(lines)))
		s.source.Refuses(lines, by)
		return err
	}
	s.adopt(f)
	s.source.Serves(f, by)
	if err := s.adoptAdmin(f); err != nil {
		s.log.Error("no door of [admin]", slog.Any("err", err))
	}
	if err := s.adoptManager(f); err != nil {
		s.log.Error("no manager", slog.Any("err", err))
	}
	s.log.Info("reloaded", slog.String("file", s.name), slog.Int("pipelines", len(f.Pipelines)))
	return nil
}

// shutdown drains what runs, until the grace period or a second signal ends.
func (s *service) shutdown(reason string) error {
	s.source.Drains() // balancers ask the door, which stays open
	s.admin.close()   // as the ports are free: another process may take over
	s.admin = nil
	s.log.Info("shutting down", slog.String("reason", reason), slog.Duration("grace", s.grace))
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.engine.Shutdown(ctx) }()
	var late <-chan time.Time // set by a second signal
	for {
		select {
		case err := <-done:
			return s.stopped(err, late != nil)
		case <-late:
			return s.stopped(nil, true)
		case sig := <-s.signals:
			switch {
			case sig == syscall.SIGHUP:
				s.queue.Reopen()
			case late == nil:
				cancel()
				late = time.After(haste)
			}
		}
	}
}

// stopped logs how a shutdown went and returns what the command returns.
func (s *service) stopped(err error, cutShort bool) error {
	if err != nil {
		s.log.Error("shut down", slog.Any("err", err))
	}
	if cutShort {
		s.log.Warn("umbra stopped, cut short by a second signal")
	}
	if err != nil || cutShort {
		return &failure{}
	}
	s.log.Info("umbra stopped")
	return nil
}
