package aead2022

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

const (
	maxPayload = 0xFFFF // SIP022 §3.1.2: maximum payload of a chunk
	// sentPayload is the maximum payload of the chunks that are sent. A receiver needs
	// memory for a whole chunk, and larger chunks gain little.
	sentPayload = 0x3FFF
	lengthSize  = 2
	chunkHead   = lengthSize + tagSize
	maxPadding  = 900 // SIP022 §3.1.3: maximum padding of a sender
)

// Cipher is a method with its keys. It is safe for concurrent use.
type Cipher struct {
	spec  Spec
	first []byte           // the first key, shared by all clients of a server
	now   func() time.Time // with a monotonic reading
	zero  [maxPadding]byte // padding; never modified

	client   clientKeys
	identity *serverIdentity // for a server with users, or nil
	sole     *user           // the user of a server without users, or nil
	refusal  error           // the error of the server role, or nil
	list     *users.List     // the source of users; nil if they don't change

	salts    *replay.Timed
	journal  *replay.Journal // of salts and sessions; nil without a replay_file
	sessions *sessions
	memo     socksaddr.Memo // of datagrams
	log      *slog.Logger   // nil for none
	crowded  core.Alarm     // for refused sessions
	name     string         // in figures
	offsets  *offsets       // of peers' clocks

	patience time.Duration // how long a server reads on after an invalid request
}

var (
	_ core.PacketCipher = (*Cipher)(nil)
	_ core.Runner       = (*Cipher)(nil)
	_ core.Retirer      = (*Cipher)(nil)
)

// clientKeys are the keys of a client.
type clientKeys struct {
	identities []identity
	own        *user // without a name
	refusal    error // the error of the client role, or nil
}

// identity is an identity key of a client and the hash of the key after it.
type identity struct {
	ipsk  []byte
	block cipher.Block // of ipsk
	next  hash
}

// serverIdentity is the state for reading identity headers in a server with users.
type serverIdentity struct {
	ipsk  []byte
	block cipher.Block // of ipsk
	users atomic.Pointer[userTable]
}

// New returns the Cipher of a method with its keys. salts is the set of salts that the
// server has received.
func New(s Spec, k Keys, salts *replay.Timed) (*Cipher, error) {
	c := &Cipher{spec: s, now: time.Now, salts: salts, name: s.Method, offsets: newOffsets()}
	if err := c.setKeys(k); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Method, err)
	}
	c.patience = ending.Patience(c)
	c.sessions = newSessions(s.Method, c.first, maxSessions)
	return c, nil
}

func (c *Cipher) setKeys(k Keys) error {
	if err := c.spec.check(); err != nil {
		return err
	}
	if err := k.check(c.spec); err != nil {
		return err
	}
	c.first = k.PSKs[0]
	if err := c.keyClient(k); err != nil {
		return err
	}
	return c.keyServer(k)
}

// keyClient sets the keys of the client role.
func (c *Cipher) keyClient(k Keys) (err error) {
	last := len(k.PSKs) - 1
	if k.users() > 0 && last == 0 {
		c.client.refusal = errors.New("the password is the identity key only: a client needs IDENTITY:USER")
	}
	for i, ipsk := range k.PSKs[:last] {
		block, err := c.spec.Block(ipsk)
		if err != nil {
			return err
		}
		c.client.identities = append(c.client.identities, identity{ipsk, block, hashKey(k.PSKs[i+1])})
	}
	c.client.own, err = newUser(c.spec, users.User{}, k.PSKs[last])
	return err
}

// keyServer sets the keys of the server role.
func (c *Cipher) keyServer(k Keys) error {
	if len(k.PSKs) > 2 {
		c.refusal = errors.New("the password has more than one identity key: a server needs its own only")
		return nil
	}
	all, err := k.table, error(nil)
	if all == nil {
		all, err = newUsers(c.spec, k.Users)
	}
	if err != nil {
		return err
	}
	if k.users() == 0 {
		c.sole = c.client.own
		all.byHash[c.sole.hash] = c.sole
	}
	if k.users() == 0 && len(k.PSKs) == 1 {
		return nil
	}
	block, err := c.spec.Block(c.first)
	c.identity = &serverIdentity{ipsk: c.first, block: block}
	c.identity.users.Store(all)
	return err
}

// Method returns the name of the method.
func (c *Cipher) Method() string { return c.spec.Method }

// Derive fills out with bytes derived from the first key and the label; see key.Derive.
func (c *Cipher) Derive(label string, out []byte) { key.Derive(c.first, label, out) }
