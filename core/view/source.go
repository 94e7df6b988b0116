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
	// Journeys returns those after a number that match, the latest last, at most limit.
	Journeys(f Filter, after uint64, limit int) []Journey
	Users() []User
	Bans(context.Context) ([]Ban, error)
	Reloads() []Reload
	Log(lines int) []string
	// Figures passes on every figure of the process; see core/metrics.
	Figures(yield func(core.Figure))

	// Compare tells what a reload would change, or the mistakes of the file.
	Compare(context.Context) (Change, error)
	// Apply serves the file anew, if its digest is still the one given.
	Apply(ctx context.Context, digest, by string) error
	Cut(id uint64) bool
	Lift(ctx context.Context, policy string, client netip.Prefix) error
	Select(ctx context.Context, group, member string) error
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
	Limit    int    // 0 for 100
	Offset   int
	Whole    bool // of journeys: whole client addresses
}
