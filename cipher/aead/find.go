package aead

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// freeTrials is the number of users that are tried without a search slot.
const freeTrials = 16

// find returns the user whose key opens a request according to opens, or nil. It first
// tries the users that were last seen at the client's address, and those that were last
// found anywhere. Then it tries all users in a limited number of concurrent searches,
// because noise costs as many trials as there are users. release is called before a wait.
func (c *Cipher) find(from core.Caller, release func(), opens func(*user) bool) *user {
	client := from.Addr.Addr()
	return c.search(c.users.Load(), client, opens, func() func() {
		release()
		patience := c.patience
		if !from.Until.IsZero() {
			patience = min(patience, time.Until(from.Until))
		}
		return c.searches.acquire(core.SourceOf(client), patience, from.Ended)
	})
}

// search is find among the users of t, which is nil if there is one key, with a function that
// acquires a search slot and returns the function that releases it, or nil if there is no
// slot.
func (c *Cipher) search(t *served, client netip.Addr, opens func(*user) bool, acquire func() (done func())) *user {
	if t == nil {
		if opens(c.own) {
			return c.own
		}
		return nil
	}
	var memory [maxRecent + maxLikely]userID
	tried := c.memory.recent.at(client, memory[:0])
	for i, id := range tried {
		if u := t.find(id); u != nil && opens(u) {
			if i > 0 {
				c.memory.recent.add(client, id)
			}
			return u
		}
	}
	u := c.searchAll(t, client, opens, tried, acquire)
	c.memory.searched(u != nil)
	return u
}

// searchAll is search among the users that were not tried.
func (c *Cipher) searchAll(t *served, client netip.Addr, opens func(*user) bool, tried []userID, acquire func() (done func())) *user {
	if len(t.All) > freeTrials {
		var u *user
		if tried, u = c.searchLikely(t, client, opens, tried); u != nil {
			return u
		}
		done := acquire()
		if done == nil {
			return nil
		}
		defer done()
	}
	for _, u := range t.All {
		if !slices.Contains(tried, u.id) && opens(u) {
			c.memory.recent.add(client, u.id)
			return u
		}
	}
	return nil
}

// searchLikely tries the users that were last found at any address, and appends them to
// tried. Where time for that is short it tries none.
func (c *Cipher) searchLikely(t *served, client netip.Addr, opens func(*user) bool, tried []userID) ([]userID, *user) {
	done := c.searches.datagrams.tryLikely()
	if done == nil {
		return tried, nil
	}
	defer done()
	known := len(tried)
	tried = c.memory.recent.likely(tried)
	for _, id := range tried[known:] {
		if u := t.find(id); u != nil && !slices.Contains(tried[:known], id) && opens(u) {
			c.memory.recent.add(client, id)
			return tried, u
		}
	}
	return tried, nil
}

// Run follows the user file and writes the journal of salts.
func (c *Cipher) Run(ctx context.Context) {
	c.memory.adopt(c)
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { c.journal.Run(ctx, c.salts.All(streamSalt), func() {}) })
	if c.list != nil {
		c.list.Run(ctx, c.setUsers)
	}
}

// Retire lets go of the users: no new stream or datagram will be opened.
func (c *Cipher) Retire() {
	if c.list != nil {
		c.list.Retire()
	}
	c.retired.Store(true)
	if c.users.Load() != nil {
		c.users.Store(serve(&userTable{}))
	}
}

// setUsers replaces the users of a server.
func (c *Cipher) setUsers(list []users.User) error {
	t, err := c.spec.table(c.list, list)
	if err != nil {
		return err
	}
	c.users.Store(serve(t))
	c.memory.adopt(c)
	return nil
}

// remember sets the memory of the server. It is called before the cipher serves.
func (c *Cipher) remember(m *memory) {
	c.memory = m
	if c.own != nil {
		c.ownPackets = m.packetsOf(c, c.own)
	}
}

// hasUser reports whether id is a user of this cipher, or may be one of the cipher that has
// taken its place.
func (c *Cipher) hasUser(id userID) bool {
	if c.retired.Load() {
		return true
	}
	if c.own != nil && c.own.id == id {
		return true
	}
	t := c.users.Load()
	return t != nil && t.find(id) != nil
}

// manyPackets opens the datagrams of a server with many users.
type manyPackets struct{ cipher *Cipher }

var _ core.PacketServer = manyPackets{}

// Open opens a request. Trials write to other memory, because a failed trial destroys
// what it opens in place.
func (m manyPackets) Open(wire []byte, from netip.AddrPort) (core.OpenedPacket, error) {
	c := m.cipher
	if err := c.spec.checkSize(wire); err != nil {
		return core.OpenedPacket{}, err
	}
	buf := netio.BorrowBuffer()
	defer buf.Return()
	scratch := buf.B[:0]
	if len(wire) > cap(scratch) {
		scratch = make([]byte, 0, len(wire)) // buffers are small while many are borrowed
	}
	var plain []byte
	t := c.users.Load()
	u := c.search(t, from.Addr(), func(u *user) bool {
		var err error
		plain, err = c.spec.unseal(scratch, wire, u.key, &c.zero)
		return err == nil
	}, func() func() {
		done := c.searches.datagrams.search(from.Addr())
		if done == nil {
			c.dropped(from)
		}
		return done
	})
	if u == nil {
		return core.OpenedPacket{}, forged(wire, core.ErrAuth)
	}
	p, size := c.packetsOf(t, u), c.spec.KeySize
	target, payload, err := p.parse(wire[size : size+copy(wire[size:], plain)])
	if err != nil {
		return core.OpenedPacket{}, err
	}
	return p.opened(wire[:size], target, payload)
}

// dropped counts a datagram whose user was not searched for, and logs that once a minute.
func (c *Cipher) dropped(from netip.AddrPort) {
	if c.log == nil {
		return
	}
	if count, say := c.unsearched.Count(time.Now()); say {
		c.log.LogAttrs(context.Background(), slog.LevelWarn, "datagrams of unknown clients dropped: too many to try the passwords of all users",
			slog.Int("datagrams", count), slog.String("client", from.String()), slog.String("hint", "a method of the 2022 edition finds users at once"))
	}
}

// Roams returns false: a client is identified by its address.
func (manyPackets) Roams() bool { return false }
