// Package store keeps what policies remember beyond this process: in a file, for
// after a restart, or in Redis, for all nodes of a fleet.
//
// A policy has all that it needs in its own memory, and a Mirror carries changes
// from there to a Store and back. So no connection waits for a store, but for a
// Claim, and a store that is away costs nothing but the changes of others.
package store

import (
	"context"
	"errors"
	"time"
)

// Bounds on an Entry, in bytes.
const (
	MaxKey   = 512
	MaxValue = 1 << 10
)

// Entry is something that is remembered. One that takes another back must not end
// before that would have: whoever has not heard of it would bring that back.
type Entry struct {
	Key   string
	Value []byte // empty for one that was taken back, which is remembered too
	At    time.Time
	Until time.Time // when it is forgotten; stores may cut it to milliseconds
}

// Newer reports whether e takes the place of old.
func (e Entry) Newer(old Entry) bool { return e.At.After(old.At) }

// check returns why e can't be kept.
func (e Entry) check() error {
	switch {
	case e.Key == "" || len(e.Key) > MaxKey:
		return errors.New("invalid key: want 1 to 512 bytes")
	case len(e.Value) > MaxValue:
		return errors.New("invalid value: want at most 1024 bytes")
	case !storable(e.At) || !storable(e.Until):
		return errors.New("invalid time in At or Until: want 1970 to 2262")
	}
	return nil
}

// over reports whether e has been forgotten at now.
func (e Entry) over(now time.Time) bool { return !now.Before(e.Until) }

// storable reports whether a time is a positive number of nanoseconds since 1970.
func storable(t time.Time) bool {
	ns := t.UnixNano() // undefined beyond its range
	return ns > 0 && time.Unix(0, ns).Equal(t)
}

// Store keeps entries by their keys. Of two with one key it keeps the one with the
// later At, whichever comes first; one whose Until has passed is not there. It is
// safe for concurrent use.
type Store interface {
	// Put keeps an entry, unless it has a newer one. One that is over already does
	// nothing. It keeps the Value, which nobody changes from then on.
	Put(ctx context.Context, e Entry) error

	// Load gives each all entries whose keys begin with prefix, those that were
	// taken back too. A call of each keeps nothing of its Entry's Value.
	Load(ctx context.Context, prefix string, each func(Entry)) error

	// Watch calls changed with each entry under prefix that others put, one at a
	// time, until ctx ends or something fails; it returns why. It calls ready once
	// from when on nothing is missed. What this Store puts itself may come too.
	Watch(ctx context.Context, prefix string, ready func(), changed func(Entry)) error

	// Claim reports whether key was free, and takes it until then. Of two at the same
	// instant one is told so, on whatever node.
	Claim(ctx context.Context, key string, until time.Time) (free bool, err error)

	// Run does the store's own work until ctx ends.
	Run(ctx context.Context)

	// Close gives up what the store holds. It is called after Run has ended.
	Close() error
}
