package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/journey"
	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/core/view"
)

// maxReloads is how many reloads are remembered.
const maxReloads = 50

// Config is what a Source asks.
type Config struct {
	Engine   *engine.Engine
	Journeys *journey.Recorder
	File     string // the path of the file
	Version  string
	LogTail  func(lines int) []string
	Load     func() (*config.File, error) // reads the file again
	Check    func(*config.File) error     // finds mistakes that building it shows
	// Replace serves a file in the place of the one that is served. If err is not nil,
	// loading it has failed. It is called by Work.
	Replace func(f *config.File, err error, by string) error
}

// Source is the view.Source of a service.
type Source struct {
	config   Config
	engine   *engine.Engine
	journeys *journey.Recorder
	started  time.Time
	ask      chan func()
	ending   chan struct{} // closed by Drains
	key      []byte        // of digests that are shown

	mu       sync.Mutex
	face     *face // guarded by mu, as all that follows; of the file that is served
	reloads  []view.Reload
	refused  int
	notReady string // why the process is not ready, "" if it is
}

var _ view.Source = (*Source)(nil)

// New returns the Source of a service that is starting.
func New(c Config) *Source {
	return &Source{config: c, engine: c.Engine, journeys: c.Journeys, started: time.Now(), ask: make(chan func()), ending: make(chan struct{}), key: newKey(), notReady: "starting"}
}

// Work returns the channel of what the goroutine of the service must call.
func (s *Source) Work() <-chan func() { return s.ask }

// Serves notes that a file is served. by says who asked for it.
func (s *Source) Serves(f *config.File, by string) {
	var next *face
	if f.Admin.Socket != "" || f.Admin.Web.IsValid() { // else nobody can ask, and it may be large
		next = faceOf(f, s.key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := view.Reload{Time: time.Now(), Generation: s.generation(), By: by}
	if s.face != nil && next != nil {
		r.Change = s.face.to(next)
	}
	s.face, s.notReady = next, ""
	s.note(r)
}

// Refuses notes that a file was refused.
func (s *Source) Refuses(mistakes []string, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	s.note(view.Reload{Time: time.Now(), By: by, Mistakes: mistakes})
}

// draining is why a process that ends is not ready.
const draining = "draining"

// Drains notes that the process ends.
func (s *Source) Drains() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notReady != draining {
		s.notReady = draining
		close(s.ending)
	}
}

// note remembers a reload. mu is held.
func (s *Source) note(r view.Reload) {
	if len(s.reloads) == maxReloads {
		s.reloads = slices.Delete(s.reloads, 0, 1)
	}
	s.reloads = append(s.reloads, r)
}

// generation returns the number of the file that is served.
func (s *Source) generation() int {
	if all := s.engine.Generations(); len(all) > 0 {
		return all[0].Number
	}
	return 0
}

func (s *Source) current() (f *face, notReady string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.face, s.notReady
}

// Status implements view.Source.
func (s *Source) Status() view.Status {
	_, notReady := s.current()
	return view.Status{
		Version: s.config.Version, PID: os.Getpid(), Started: s.started, File: s.config.File, Generation: s.generation(),
		Ready: notReady == "", Reason: notReady,
	}
}

// Plan implements view.Source.
func (s *Source) Plan() *view.Plan {
	f, _ := s.current()
	if f == nil {
		return &view.Plan{}
	}
	return f.plan
}

// Reloads implements view.Source.
func (s *Source) Reloads() []view.Reload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]view.Reload{}, s.reloads...)
}

// Log implements view.Source.
func (s *Source) Log(lines int) []string { return s.config.LogTail(lines) }

// Connections implements view.Source.
func (s *Source) Connections(f view.Filter) view.Connections {
	var all []view.Connection
	for _, c := range s.engine.Connections() {
		if v := connectionOf(c); matches(f, v) {
			all = append(all, v)
		}
	}
	by, turned := strings.CutPrefix(f.Sort, "-")
	slices.SortStableFunc(all, func(a, b view.Connection) int {
		if turned {
			a, b = b, a
		}
		switch by {
		case "up":
			return cmp.Compare(a.Up, b.Up)
		case "down":
			return cmp.Compare(a.Down, b.Down)
		case "bytes":
			return cmp.Compare(a.Up+a.Down, b.Up+b.Down)
		case "since":
			return a.Since.Compare(b.Since)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	page := all[min(f.Offset, len(all)):]
	return view.Connections{Total: len(all), List: append([]view.Connection{}, page[:min(f.Limit, len(page))]...)}
}

func connectionOf(c engine.Connection) view.Connection {
	v := view.Connection{
		ID: c.ID, Generation: c.Generation, Pipeline: c.Pipeline, Inbound: c.Client.Inbound, Network: string(c.Network), Client: c.Client.Addr.String(),
		User: c.User, Path: append([]string{}, c.Path...), State: c.State.String(), Since: c.Stages.Accepted, Up: c.Up, Down: c.Down,
	}
	if c.Target.IsValid() {
		v.Target = c.Target.String()
	}
	return v
}

func matches(f view.Filter, c view.Connection) bool {
	return (f.Pipeline == "" || f.Pipeline == c.Pipeline) &&
		(f.Network == "" || f.Network == c.Network) &&
		(f.User == "" || f.User == c.User) &&
		(f.Outbound == "" || slices.Contains(c.Path, f.Outbound)) &&
		(f.Text == "" || strings.Contains(strings.ToLower(c.Target), f.Text) || strings.Contains(c.Client, f.Text))
}

// Cut implements view.Source.
func (s *Source) Cut(id uint64) bool { return s.engine.Cut(id, errByHand) }

var errByHand = fmt.Errorf("%w: ended by hand", core.ErrDenied)

// Journeys implements view.Source.
func (s *Source) Journeys(f view.Filter, after uint64) []view.Journey {
	all := []view.Journey{}
	for _, r := range s.journeys.Records(recordFilter(f), after, f.Limit) {
		all = append(all, journeyOf(r, f.Whole))
	}
	return all
}

func recordFilter(f view.Filter) journey.Filter {
	return journey.Filter{Pipeline: f.Pipeline, Network: core.Network(f.Network), User: f.User, Outbound: f.Outbound, Text: f.Text, Failed: f.Failed}
}

// Follow implements view.Source.
func (s *Source) Follow(f view.Filter) view.Follower {
	to := &follower{recorder: s.journeys, journeys: make(chan view.Journey), closed: make(chan struct{})}
	to.reader = to.recorder.Read(recordFilter(f))
	go to.run(f.Whole)
	return to
}

// follower passes on what a reader of records gets.
type follower struct {
	recorder *journey.Recorder
	reader   *journey.Reader
	journeys chan view.Journey
	closed   chan struct{}
}

func (f *follower) run(whole bool) {
	defer close(f.journeys)
	for {
		select {
		case r, open := <-f.reader.Records():
			if !open {
				return
			}
			select {
			case f.journeys <- journeyOf(r, whole):
			case <-f.closed:
				return
			}
		case <-f.closed:
			return
		}
	}
}

// Journeys implements view.Follower.
func (f *follower) Journeys() <-chan view.Journey { return f.journeys }

// Close implements view.Follower.
func (f *follower) Close() {
	f.recorder.Close(f.reader)
	close(f.closed)
}

// Figures implements view.Source.
func (s *Source) Figures(yield func(core.Figure)) {
	one := func(m *core.Metric, v float64, labels ...string) {
		yield(core.Figure{Metric: m, Value: v, Labels: labels})
	}
	one(metrics.BuildInfo, 1, s.config.Version, runtime.Version())
	one(metrics.StartTime, float64(s.started.UnixMilli())/1000)
	generations := s.engine.Generations()
	one(metrics.Generations, float64(len(generations)))
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	if len(generations) > 0 && !generations[0].Retired {
		one(metrics.LastReload, float64(generations[0].Since.UnixMilli())/1000)
		one(metrics.Reloads, float64(generations[0].Number-1), "ok")
	}
	one(metrics.Reloads, float64(refused), "refused")
	s.engine.Figures(yield)
}

// Compare implements view.Source.
func (s *Source) Compare(context.Context) (*view.Change, error) {
	f, err := s.config.Load()
	if err == nil {
		err = s.config.Check(f)
	}
	if err != nil {
		return nil, err
	}
	now, _ := s.current()
	if now == nil {
		return nil, errors.New("no file is served")
	}
	change := now.to(faceOf(f, s.key))
	for _, w := range f.Warnings {
		change.Warned = append(change.Warned, w.Error())
	}
	return change, nil
}

// Apply implements view.Source.
func (s *Source) Apply(ctx context.Context, digest, by string) error {
	done := make(chan error, 1)
	apply := func() {
		f, err := s.config.Load()
		if err == nil && digestOf(f, s.key) != digest {
			done <- view.ErrChanged
			return
		}
		done <- s.config.Replace(f, err, by)
	}
	select {
	case s.ask <- apply:
	case <-s.ending:
		return fmt.Errorf("not reloaded: the process ends: %w", core.ErrShutdown)
	case <-ctx.Done():
		return fmt.Errorf("the process is busy with another reload: %w", ctx.Err())
	}
	return <-done
}
