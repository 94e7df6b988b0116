package aead

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// freeTrials is how many users are tried for anybody, at once.
const freeTrials = 16

// find returns the user whom opens takes for the sender of a request, or nil. The
// users that were last seen at the client's address are tried first; then all, in
// turn with others who look, because that is what a flood of noise would cost.
// rest is called before a wait.
func (c *Cipher) find(from core.Caller, rest func(), opens func(*user) bool) *user {
	client := from.Addr.Addr()
	return c.look(client, opens, func() func() {
		rest()
		patience := c.patience
		if !from.Until.IsZero() {
			patience = min(patience, time.Until(from.Until))
		}
		return c.turns.take(core.SourceOf(client), patience, from.Ended)
	})
}

// look is find with what waits for a turn. A turn that is nil means that there is
// none.
func (c *Cipher) look(client netip.Addr, opens func(*user) bool, turn func() (done func())) *user {
	r := c.roll.Load()
	if r == nil {
		if opens(c.own) {
			return c.own
		}
		return nil
	}
	var memory [maxRecent]userID
	tried := c.memory.recent.at(client, memory[:0])
	for i, id := range tried {
		if u := r.byID[id]; u != nil && opens(u) {
			if i > 0 {
				c.memory.recent.saw(client, id)
			}
			return u
		}
	}
	if len(r.all) > freeTrials {
		done := turn()
		if done == nil {
			return nil
		}
		defer done()
	}
	for _, u := range r.all {
		if !slices.Contains(tried, u.id) && opens(u) {
			c.memory.recent.saw(client, u.id)
			return u
		}
	}
	return nil
}

// Run follows the file of users and writes that of salts.
func (c *Cipher) Run(ctx context.Context) {
	if r := c.roll.Load(); r != nil {
		r.grant()
	}
	c.memory.keep(c.knows)
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { c.journal.Run(ctx, c.salts.All(streamSalt), func() {}) })
	if c.list != nil {
		c.list.Run(ctx, c.setUsers)
	}
}

// setUsers puts others in the place of a server's users.
func (c *Cipher) setUsers(list []users.User) error {
	r, err := c.spec.newRoll(list)
	if err != nil {
		return err
	}
	c.setRoll(r)
	r.grant()
	c.memory.keep(c.knows)
	return nil
}

// remember makes m what the server goes on with. It is called before anything is
// served.
func (c *Cipher) remember(m *memory) {
	c.memory = m
	if c.own != nil {
		c.own.packets = m.packetsOf(c.spec, c.own)
	}
	if r := c.roll.Load(); r != nil {
		c.setRoll(r)
	}
}

func (c *Cipher) setRoll(r *roll) {
	for _, u := range r.all {
		u.packets = c.memory.packetsOf(c.spec, u)
	}
	c.roll.Store(r)
}

// knows reports whether a user is among those of this table.
func (c *Cipher) knows(id userID) bool {
	if c.own != nil && c.own.id == id {
		return true
	}
	r := c.roll.Load()
	return r != nil && r.byID[id] != nil
}

// manyPackets opens the datagrams of many users.
type manyPackets struct{ cipher *Cipher }

var _ core.PacketServer = manyPackets{}

// Open opens a request. It tries users into other memory, because a trial that
// fails spoils what it opens in place.
func (m manyPackets) Open(wire []byte, from netip.AddrPort) (core.OpenedPacket, error) {
	c := m.cipher
	if err := c.spec.checkSize(wire); err != nil {
		return core.OpenedPacket{}, err
	}
	buf := netio.BorrowBuffer()
	defer buf.Return()
	scratch := buf.B[:0]
	if len(wire) > cap(scratch) {
		scratch = make([]byte, 0, len(wire)) // while many buffers are out they are small
	}
	var plain []byte
	u := c.look(from.Addr(), func(u *user) bool {
		var err error
		plain, err = u.packets.unseal(scratch, wire)
		return err == nil
	}, c.turns.try)
	if u == nil {
		return core.OpenedPacket{}, forged(wire, core.ErrAuth)
	}
	size := c.spec.KeySize
	target, payload, err := u.packets.parse(wire[size : size+copy(wire[size:], plain)])
	if err != nil {
		return core.OpenedPacket{}, err
	}
	return u.packets.opened(wire[:size], target, payload)
}

// Roams returns false: a client is known by its address.
func (manyPackets) Roams() bool { return false }
