package aead2022

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
)

const (
	maxPayload = 0xFFFF // SIP022 §3.1.2: of a chunk
	// sentPayload is the largest payload of the chunks that we send. A receiver
	// needs memory for a whole chunk, and the gain of larger ones is small.
	sentPayload = 0x3FFF
	lengthSize  = 2
	chunkHead   = lengthSize + tagSize
	maxPadding  = 900 // SIP022 §3.1.3: that a sender adds
)

// Cipher is a method with its keys. It is safe for concurrent use.
type Cipher struct {
	spec  Spec
	first []byte           // the first key, which all clients of a server have in common
	now   func() time.Time // both clocks
	zero  [maxPadding]byte // padding; never written

	client   clientKeys
	identity *serverIdentity // of a server with users, or nil
	sole     *user           // of a server without, or nil
	refusal  error           // why there is no server, or nil
	list     *users.List     // where users come from; nil if they don't change

	salts    *replay.Timed
	journal  *replay.Journal // of salts and sessions; nil for none
	sessions *sessions
	memo     core.AddrMemo // of datagrams

	patience time.Duration // of a server with a stream that broke the rules
}

var (
	_ core.PacketCipher = (*Cipher)(nil)
	_ core.Runner       = (*Cipher)(nil)
)

// clientKeys are the keys of a client.
type clientKeys struct {
	identities []identity
	own        *user // without a name
	refusal    error // why there is no client, or nil
}

// identity is an identity key of a client and the key that it leads to.
type identity struct {
	ipsk  []byte
	block cipher.Block // of ipsk
	next  hash
}

// serverIdentity is what a server with users reads identity headers with.
type serverIdentity struct {
	ipsk  []byte
	block cipher.Block // of ipsk
	users atomic.Pointer[roll]
}

// New returns the Cipher of a method with its keys. salts is what a server has
// seen.
func New(s Spec, k Keys, salts *replay.Timed) (*Cipher, error) {
	c := &Cipher{spec: s, now: time.Now, salts: salts}
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

// keyClient takes the keys for the role of a client.
func (c *Cipher) keyClient(k Keys) (err error) {
	last := len(k.PSKs) - 1
	if len(k.Users) > 0 && last == 0 {
		c.client.refusal = errors.New("only the identity key is given; a client needs IDENTITY:USER as password")
	}
	for i, ipsk := range k.PSKs[:last] {
		block, err := c.spec.Block(ipsk)
		if err != nil {
			return err
		}
		c.client.identities = append(c.client.identities, identity{ipsk, block, hashKey(k.PSKs[i+1])})
	}
	c.client.own, err = newUser(c.spec, User{PSK: k.PSKs[last]})
	return err
}

// keyServer takes the keys for the role of a server.
func (c *Cipher) keyServer(k Keys) error {
	if len(k.PSKs) > 2 {
		c.refusal = errors.New("more than one identity key is given; a server has its own alone")
		return nil
	}
	all, err := newUsers(c.spec, k.Users)
	if err != nil {
		return err
	}
	if len(k.Users) == 0 {
		c.sole = c.client.own
		all.byHash[c.sole.hash] = c.sole
	}
	if len(k.Users) == 0 && len(k.PSKs) == 1 {
		return nil
	}
	block, err := c.spec.Block(c.first)
	c.identity = &serverIdentity{ipsk: c.first, block: block}
	c.identity.users.Store(all)
	return err
}

// Method returns the method's name.
func (c *Cipher) Method() string { return c.spec.Method }

// Derive fills out from the first key and the label; see key.Derive.
func (c *Cipher) Derive(label string, out []byte) { key.Derive(c.first, label, out) }
