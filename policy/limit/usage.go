package limit

import (
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/policy/store"
)

// usage is the byte counts of users in the form of a store.Set. An entry is one node's
// total for a user in a period. Each node changes only its own totals, and only
// upwards; the usage is the sum of all totals. So no byte is lost or counted twice, in
// whatever order and however often entries arrive.
type usage struct{ *users }

var _ store.Set = usage{}

const (
	// keptAfter is how long entries are kept after the end of their period, for nodes
	// whose clocks are slow.
	keptAfter = 24 * time.Hour
	// maxNodes bounds the node totals of a user in a period; each start of a process
	// that uses Redis adds one.
	maxNodes = 4096
)

// entry returns a node's count as an entry of the store. ok is false if the key is too
// long to be stored. mu is held.
func (us *users) entry(u *user, node string, r record) (e store.Entry, ok bool) {
	key := us.prefix + us.begins.Format(time.DateOnly) + "/" + node + "/" + u.name
	return store.Entry{
		Key: key, Value: strconv.AppendInt(nil, r.bytes, 10), At: r.at, Until: us.ends.Add(keptAfter),
	}, len(key) <= store.MaxKey
}

// changedEntry returns the entry with this node's count of a user, if the count has
// changed since the last call. mu is held.
func (us *users) changedEntry(u *user, now time.Time) (e store.Entry, ok bool) {
	own := u.own.Load()
	if u.quota.Load() == 0 || own == u.sent.bytes {
		return e, false
	}
	if !now.After(u.sent.at) { // the clock was set back
		now = u.sent.at.Add(1)
	}
	u.sent = record{own, now}
	return us.entry(u, us.node, u.sent)
}

// All iterates over the counts of all nodes in this period.
func (s usage) All() iter.Seq[store.Entry] {
	return func(yield func(store.Entry) bool) {
		for _, e := range s.list() {
			if !yield(e) {
				return
			}
		}
	}
}

func (us *users) list() []store.Entry {
	us.mu.Lock()
	defer us.mu.Unlock()
	var all []store.Entry
	add := func(u *user, node string, r record) {
		if e, ok := us.entry(u, node, r); ok && r.bytes > 0 {
			all = append(all, e)
		}
	}
	for _, u := range us.all {
		add(u, us.node, u.sent)
		for node, r := range u.nodes {
			add(u, node, r)
		}
		if e, ok := us.resetEntry(u); ok {
			all = append(all, e)
		}
	}
	return all
}

// Merge adds a node's count, if it is higher than the known one.
func (s usage) Merge(e store.Entry) {
	if key, ok := strings.CutPrefix(e.Key, s.prefix+resetKey); ok {
		s.mergeReset(key, e)
		return
	}
	c, ok := parseCount(strings.TrimPrefix(e.Key, s.prefix), e.Value)
	if !ok {
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.period != s.begins.Format(time.DateOnly) {
		return
	}
	u := s.user(c.user, now)
	if u == nil {
		return
	}
	if c.node == s.node {
		// A higher count than the last one sent is from an earlier process with the
		// same file, or from before the clock was set to another month and back.
		if more := c.bytes - u.sent.bytes; more > 0 {
			u.own.Add(more)
			u.sent = record{c.bytes, e.At}
		}
		return
	}
	known, has := u.nodes[c.node]
	if c.bytes <= known.bytes || !has && len(u.nodes) >= maxNodes || u.others.Load() > math.MaxInt64/2-c.bytes {
		return
	}
	if u.nodes == nil {
		u.nodes = map[string]record{}
	}
	u.nodes[c.node] = record{c.bytes, e.At}
	u.others.Add(c.bytes - known.bytes)
}

// count is a parsed entry.
type count struct {
	period, node, user string
	bytes              int64
}

// parseCount parses an entry. key is the entry's key without the policy's prefix.
func parseCount(key string, value []byte) (c count, ok bool) {
	period, rest, isPeriod := strings.Cut(key, "/")
	node, user, isNode := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(string(value), 10, 62)
	if _, bad := time.Parse(time.DateOnly, period); bad != nil || !isPeriod || !isNode || node == "" || len(node) > maxNode || len(user) > maxUserName || err != nil {
		return count{}, false
	}
	return count{period, node, user, int64(n)}, true
}

// maxNode is the maximum length of a node name in bytes.
const maxNode = 32
