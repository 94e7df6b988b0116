// Package store keeps the state of policies beyond this process: in a file, which
// survives a restart, or in Redis, which all nodes of a fleet share.
//
// A policy decides from its own memory. A Mirror copies changes from this memory to
// a Store and back, so no connection waits for a store, except in a Claim. While a
// store is unreachable only the changes of other nodes are missing.
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

// Entry is one stored key and its value. An entry that deletes an older one must
// not expire before the older one would have: a node that has not received the
// deletion would otherwise restore the older entry.
type Entry struct {
	Key   string
	Value []byte    // empty for a deletion, which is stored too
	At    time.Time // of the change
	Until time.Time // when the entry expires; stores may truncate it to milliseconds
}

// Newer reports whether e replaces old.
func (e Entry) Newer(old Entry) bool { return e.At.After(old.At) }

// check returns an error if e is not valid.
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

// expired reports whether e has expired at now.
func (e Entry) expired(now time.Time) bool { return !now.Before(e.Until) }

// storable reports whether a time is a positive number of nanoseconds since 1970.
func storable(t time.Time) bool {
	ns := t.UnixNano() // undefined beyond its range
	return ns > 0 && time.Unix(0, ns).Equal(t)
}

// Store keeps entries by their keys. Of two entries with the same key a Store keeps
// the one with the later At, in whatever order they arrive. An expired entry does not
// exist. A Store is safe for concurrent use.
type Store interface {
	// Put stores an entry, unless the store has a newer one for its key. An entry
	// that has already expired is ignored. The store keeps the Value, which must not
	// change afterwards.
	Put(ctx context.Context, e Entry) error

	// Load calls each with all entries whose keys begin with prefix, deletions
	// included. each must not keep any part of the Entry's Value.
	Load(ctx context.Context, prefix string, each func(Entry)) error

	// Watch calls changed with each entry under prefix that other nodes put, one at a
	// time, until ctx ends or an error occurs, and returns the error. Watch calls
	// ready once, after which no change is missed. changed may also be called with
	// entries that this Store itself has put.
	Watch(ctx context.Context, prefix string, ready func(), changed func(Entry)) error

	// Claim reports whether key was free, and reserves it until the given time. Of
	// several simultaneous claims, on whatever nodes, exactly one returns true.
	Claim(ctx context.Context, key string, until time.Time) (free bool, err error)

	// Run does the store's background work until ctx ends.
	Run(ctx context.Context)

	// Close releases the store's resources. It is called after Run has returned.
	Close() error
}
