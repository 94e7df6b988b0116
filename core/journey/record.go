package journey

import (
	"slices"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/tally"
)

// Record is a connection that has ended, or that was refused, with the steps on its way.
type Record struct {
	Number   uint64 // later ones have higher numbers
	ID       uint64 // of the request; 0 if none was made
	Pipeline string
	Network  core.Network
	Client   core.Client
	User     string
	Target   core.Addr // not valid for an association, and if no request was made
	Path     []string
	Stages   core.Stages
	Steps    []core.Step
	Up, Down int64
	Kind     core.EventKind
	Result   string // "ok", or why it ended, in a word
	Err      error

	wait time.Duration // see waitOf
}

// recordOf returns the record of an event that ends a connection.
func recordOf(e core.Event, result string) *Record {
	r := &Record{
		Pipeline: e.Pipeline, Network: e.Client.Network, Client: e.Client, Path: e.Path, Stages: e.Stages,
		Kind: e.Kind, Result: result, Err: e.Err,
	}
	if q := e.Request; q != nil {
		r.ID, r.Network, r.User, r.Target = q.ID, q.Network, q.User, q.Target
		r.Up, r.Down, r.Steps = q.Flow.Up.Load(), q.Flow.Down.Load(), q.Flow.Steps()
	}
	return r
}

// waitOf returns how long a client waited for its target, 0 if that was not reached.
func waitOf(s core.Stages) time.Duration {
	switch {
	case s.Requested.IsZero() || s.Reached.IsZero():
		return 0
	case !s.Answered.IsZero():
		return s.Answered.Sub(s.Requested)
	}
	return s.Reached.Sub(s.Requested)
}

// Filter says which records are wanted. An empty field says nothing.
type Filter struct {
	Pipeline string
	Network  core.Network
	User     string
	Outbound string // an ID in the path
	Text     string // a part of the client's address or of the target, in lower case
	Failed   bool   // those that did not end in order
}

// Matches reports whether a record is wanted.
func (f *Filter) Matches(r *Record) bool {
	return (f.Pipeline == "" || f.Pipeline == r.Pipeline) &&
		(f.Network == "" || f.Network == r.Network) &&
		(f.User == "" || f.User == r.User) &&
		(!f.Failed || r.Result != tally.OK) &&
		(f.Outbound == "" || slices.Contains(r.Path, f.Outbound)) &&
		(f.Text == "" || strings.Contains(strings.ToLower(r.Target.String()), f.Text) || strings.Contains(r.Client.Addr.String(), f.Text))
}
