package view

import (
	"context"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// Source is the running process, as the handlers ask it. All methods may be called from any
// goroutine.
type Source interface {
	Status() Status
	Plan() *Plan
	Snapshot() Snapshot
	Connections(Filter) Connections
	// Journeys returns those after a number that match, the latest last, at most f.Limit.
	Journeys(f Filter, after uint64) []Journey
	// Follow returns the journeys that match as they end.
	Follow(Filter) Follower
	Users() []User
	Bans(context.Context) ([]Ban, error)
	Reloads() []Reload
	// Log returns a copy of the last lines of the log.
	Log(lines int) []string
	// Figures passes on every figure of the process; see core/metrics.
	Figures(yield func(core.Figure))

	// Compare tells what a reload would change. An error has the mistakes of the file, one a
	// line.
	Compare(context.Context) (*Change, error)
	// Apply serves the file anew. It returns an ErrChanged if its digest is not the one
	// given.
	Apply(ctx context.Context, digest, by string) error
	// Cut ends a connection, and reports whether there is one.
	Cut(id uint64) bool
	Lift(ctx context.Context, policy string, client netip.Prefix) error
	Select(ctx context.Context, group, member string) error
}

// Follower has journeys as they end.
type Follower interface {
	// Journeys returns their channel, which is closed if nobody reads it for too long.
	Journeys() <-chan Journey
	Close()
}

// Filter says which connections are wanted. An empty field says nothing.
type Filter struct {
	Pipeline string
	Network  string // "tcp" or "udp"
	User     string
	Outbound string // an ID in the path
	Text     string // a part of the client's address or the target, in lower case
	Failed   bool   // journeys that did not end in order
	Sort     string // of live connections: "id" (also for ""), "up", "down", "bytes", "since"; a "-" before it turns it round
	Limit    int
	Offset   int
	Whole    bool // of journeys: whole client addresses
}
