package limit

import (
	"strconv"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/policy/store"
)

// A reset forgives the bytes that a user has used so far in this period. The counts of
// nodes only grow, and so does the number of forgiven bytes, of which the highest holds on
// all nodes: it is an entry of the store of its own, and is subtracted from the sum.

// resetKey is the part of a reset's key after the policy's prefix; the period and the user
// follow.
const resetKey = "reset/"

// forgive sets the number of forgiven bytes, unless it is less than before. mu is held.
func (u *user) forgive(r record) bool {
	more := r.bytes - u.forgiven.bytes
	if more <= 0 {
		return false
	}
	u.forgiven = r
	u.others.Add(-more)
	u.logged = false
	return true
}

// reset forgives all bytes of a user and returns the entry for the store. ok is false if
// there is nothing to forgive. mu is held.
func (us *users) reset(u *user, now time.Time) (e store.Entry, ok bool) {
	used := u.own.Load() + u.others.Load()
	if used <= 0 || !u.forgive(record{u.forgiven.bytes + used, now}) {
		return e, false
	}
	return us.resetEntry(u)
}

// resetEntry returns the forgiven bytes of a user as an entry. ok is false if there are
// none, or if the key is too long to be stored. mu is held.
func (us *users) resetEntry(u *user) (e store.Entry, ok bool) {
	key := us.prefix + resetKey + us.begins.Format(time.DateOnly) + "/" + u.name
	return store.Entry{
		Key: key, Value: strconv.AppendInt(nil, u.forgiven.bytes, 10), At: u.forgiven.at, Until: us.ends.Add(keptAfter),
	}, u.forgiven.bytes > 0 && len(key) <= store.MaxKey
}

// mergeReset adds a reset of the store. key is the entry's key after resetKey.
func (us *users) mergeReset(key string, e store.Entry) {
	period, name, ok := strings.Cut(key, "/")
	n, err := strconv.ParseUint(string(e.Value), 10, 62)
	if !ok || err != nil || len(name) > maxUserName {
		return
	}
	us.mu.Lock()
	defer us.mu.Unlock()
	if period != us.begins.Format(time.DateOnly) {
		return
	}
	if u := us.user(name, time.Now()); u != nil {
		u.forgive(record{int64(n), e.At})
	}
}
