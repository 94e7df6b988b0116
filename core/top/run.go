package top

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/umbra-proxy/umbra/core/terminal"
)

// Every is the time between two samples.
const Every = time.Second

// ease is by how much longer the time between two samples is than a sample takes, at least: a process
// with very many connections has other things to do.
const ease = 10

// Terminal is where the screen is drawn.
type Terminal interface {
	Size() (width, height int)
	Draw([]terminal.Line) error
	Suspend() error
}

// Options are what a screen begins with.
type Options struct {
	By     Group
	Order  Order
	Filter string
}

// answer is what the process said.
type answer struct {
	sample  *Sample
	took    time.Duration
	message string // of a cut
	err     error
}

// Run shows what a process does until a key or the context ends it. A process that is not reached
// is asked again.
func Run(ctx context.Context, p Process, t Terminal, keys <-chan terminal.Key, resized <-chan os.Signal, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &screen{by: o.By, order: o.Order, filter: o.Filter}
	answers := make(chan answer, 1) // one question at a time, so its answer always fits
	asked := false
	defer func() {
		cancel()
		if asked {
			<-answers
		}
	}()
	waiting := []func() answer{func() answer { return ask(ctx, p, o.By) }} // questions, in their order
	tick := time.NewTicker(Every)
	defer tick.Stop()
	due := time.Now() // of the next sample
	for {
		if !asked && len(waiting) > 0 {
			next := waiting[0]
			waiting, asked = waiting[1:], true
			go func() { answers <- next() }()
		}
		if err := t.Draw(s.lines(t.Size())); err != nil {
			return err
		}
		by, name := s.by, s.selected
		again := func() answer { return ask(ctx, p, by) }
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case <-tick.C:
			if !asked && !time.Now().Before(due) {
				waiting = append(waiting, again)
			}
		case a := <-answers:
			asked = false
			due = time.Now().Add(ease * a.took)
			s.answered(a)
		case k, open := <-keys:
			if !open {
				return nil // the terminal has gone
			}
			switch s.press(k) {
			case quit:
				return nil
			case suspend:
				if err := t.Suspend(); err != nil {
					return err
				}
			case sample:
				by := s.by
				waiting = append(waiting, func() answer { return ask(ctx, p, by) })
			case cut:
				waiting = append(waiting, func() answer { return cutRow(ctx, p, by, name) }, again)
			}
		}
	}
}

// answered takes over what the process said. A sample of another group than is shown now gives
// the heading alone.
func (s *screen) answered(a answer) {
	switch {
	case a.err != nil && a.message != "":
		s.message = a.message + ": " + a.err.Error()
	case a.err != nil:
		s.problem = a.err.Error()
	case a.message != "":
		s.message = a.message
	default:
		s.take(a.sample)
	}
}

func ask(ctx context.Context, p Process, by Group) answer {
	began := time.Now()
	s, err := Take(ctx, p, by)
	return answer{sample: s, took: time.Since(began), err: err}
}

func cutRow(ctx context.Context, p Process, by Group, name string) answer {
	n, err := p.Cut(ctx, by, name)
	return answer{message: fmt.Sprintf("%d connections cut", n), err: err}
}
