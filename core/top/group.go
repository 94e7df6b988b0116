// Package top shows what a running process does, once a second, as the program top does.
package top

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core/view"
)

// Group is by what connections are grouped.
type Group string

// The groups.
const (
	ByPipeline   Group = "pipeline"
	ByUser       Group = "user"
	ByOutbound   Group = "outbound"
	ByConnection Group = "connection"
)

// Groups returns all groups.
func Groups() []Group { return []Group{ByPipeline, ByUser, ByOutbound, ByConnection} }

// Order is by what rows are sorted, the largest first.
type Order string

// The orders.
const (
	ByRate        Order = "rate"
	ByTotal       Order = "total"
	ByConnections Order = "connections" // of connections themselves: the oldest first
)

// Orders returns all orders.
func Orders() []Order { return []Order{ByRate, ByTotal, ByConnections} }

// Process is the running process, as it is asked.
type Process interface {
	Status(context.Context) (view.Status, error)
	Snapshot(context.Context) (view.Snapshot, error)
	Users(context.Context) ([]view.User, error)
	Connections(context.Context) ([]view.Connection, error)
	// Cut ends the connections of a row and returns how many these were.
	Cut(ctx context.Context, by Group, name string) (int, error)
}

// Sample is what the process did at an instant. What its group doesn't need is left out.
type Sample struct {
	Time        time.Time
	By          Group
	Status      view.Status
	Snapshot    view.Snapshot
	Users       []view.User
	Connections []view.Connection
}

// Take asks a process for what a group needs.
func Take(ctx context.Context, p Process, by Group) (*Sample, error) {
	s := &Sample{By: by}
	var err error
	if s.Status, err = p.Status(ctx); err != nil {
		return nil, err
	}
	switch by {
	case ByUser:
		s.Users, err = p.Users(ctx)
	case ByConnection:
		s.Connections, err = p.Connections(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.Snapshot, err = p.Snapshot(ctx)
	s.Time = time.Now()
	return s, err
}

// Row is a line of the list. A rate is negative while it is not known.
type Row struct {
	Name        string  `json:"name"` // of a connection, its ID
	Connections int     `json:"connections"`
	UpRate      float64 `json:"up_rate"` // bytes a second
	DownRate    float64 `json:"down_rate"`
	Up          int64   `json:"up"` // bytes
	Down        int64   `json:"down"`

	Pipeline   *view.PipelineState  `json:"pipeline,omitempty"`
	User       *view.User           `json:"user,omitempty"`
	Outbound   *view.ComponentState `json:"outbound,omitempty"`
	Connection *view.Connection     `json:"connection,omitempty"`
}

// rate returns bytes a second in both directions.
func (r *Row) rate() float64 { return max(r.UpRate, 0) + max(r.DownRate, 0) }

// total returns bytes in both directions.
func (r *Row) total() int64 { return r.Up + r.Down }

// text is what a filter looks into, in lower case.
func (r *Row) text() string {
	words := []string{r.Name}
	if c := r.Connection; c != nil {
		words = append(words, c.Pipeline, c.Inbound, c.Network, c.Client, c.User, c.Target, c.State)
		words = append(words, c.Path...)
	}
	return strings.ToLower(strings.Join(words, "\n"))
}

// Rows returns what a sample has, with the rates since an earlier one, which may be nil. What
// ended between the two counts for nothing.
func Rows(before, now *Sample) []Row {
	rows := now.rows()
	seconds := 0.0
	known := map[string]*Row{}
	if before != nil && before.By == now.By {
		seconds = now.Time.Sub(before.Time).Seconds()
		for _, r := range before.rows() {
			known[r.Name] = &r
		}
	}
	for i := range rows {
		r := &rows[i]
		was := known[r.Name]
		switch {
		case seconds <= 0:
			r.UpRate, r.DownRate = -1, -1
			continue
		case was == nil: // all that it has came since
			was = &Row{}
		case r.Up < was.Up || r.Down < was.Down: // another process
			r.UpRate, r.DownRate = -1, -1
			continue
		}
		r.UpRate, r.DownRate = float64(r.Up-was.Up)/seconds, float64(r.Down-was.Down)/seconds
	}
	return rows
}

// rows returns the rows without rates.
func (s *Sample) rows() []Row {
	var rows []Row
	switch s.By {
	case ByPipeline:
		for _, p := range s.Snapshot.Pipelines {
			rows = append(rows, Row{Name: p.Name, Connections: p.Streams + p.UDP, Up: p.Up, Down: p.Down, Pipeline: &p})
		}
	case ByUser:
		for _, u := range s.Users {
			rows = append(rows, Row{Name: u.Name, Connections: u.Connections, Up: u.Up, Down: u.Down, User: &u})
		}
	case ByOutbound:
		for id, c := range s.Snapshot.Components {
			if strings.HasPrefix(id, "outbound.") {
				rows = append(rows, Row{Name: id, Connections: c.Connections, Up: c.Up, Down: c.Down, Outbound: &c})
			}
		}
	case ByConnection:
		for _, c := range s.Connections {
			rows = append(rows, Row{Name: connectionName(c.ID), Connections: 1, Up: c.Up, Down: c.Down, Connection: &c})
		}
	}
	return rows
}

// Sort sorts rows in place, those that are equal by name.
func Sort(rows []Row, by Order) {
	slices.SortFunc(rows, func(a, b Row) int {
		first := 0
		switch {
		case by == ByRate:
			first = cmp.Compare(b.rate(), a.rate())
		case by == ByTotal:
			first = cmp.Compare(b.total(), a.total())
		case a.Connection != nil && b.Connection != nil:
			first = a.Connection.Since.Compare(b.Connection.Since)
		default:
			first = cmp.Compare(b.Connections, a.Connections)
		}
		if first == 0 && a.Connection != nil && b.Connection != nil {
			return cmp.Compare(a.Connection.ID, b.Connection.ID)
		}
		return cmp.Or(first, cmp.Compare(a.Name, b.Name))
	})
}

// Filter returns the rows that contain a text, whatever its case.
func Filter(rows []Row, text string) []Row {
	if text = strings.ToLower(text); text == "" {
		return rows
	}
	var found []Row
	for _, r := range rows {
		if strings.Contains(r.text(), text) {
			found = append(found, r)
		}
	}
	return found
}
