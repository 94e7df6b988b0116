package socks5

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// login is the name and the password of a user.
type login struct{ name, password string }

// newLogin returns the login of the options, or nil. Both parts have at most 255 bytes, the
// limit of RFC 1929.
func newLogin(env core.Env, o Options) (*login, error) {
	switch {
	case !o.Login.Given():
		return nil, nil
	case len(o.Isolate) > 0:
		return nil, core.BadOption("isolate", "it invents a user and a password for each login; remove the options for them, or isolate")
	}
	user, password, err := o.Login.Read(env.Log)
	switch {
	case err != nil:
		return nil, err
	case len(user) > 255:
		return nil, core.BadOption("user", "%d bytes, the most is 255", len(user))
	case len(password) > 255:
		return nil, core.BadOption(o.Key(), "the password has %d bytes, the most is 255", len(password))
	}
	return &login{user, password}, nil
}

// Isolation lists what distinguishes requests that must not share a circuit of Tor: "user",
// "client", "target".
type Isolation []string

// TakesOne says that a file may give one word in place of the list.
func (Isolation) TakesOne() {}

// isolation invents a login for each class of requests. Tor's IsolateSOCKSAuth, which is on
// by default, keeps requests of different logins on different circuits. The names are
// digests under a key of the process: nobody at the server learns from them who asks.
type isolation struct {
	by   Isolation
	name string // of the outbound: two outbounds share no circuits
	key  []byte
}

// isolationKey is the key of all isolations of a process. It outlives a reload, and so do
// circuits.
type isolationKey struct {
	once sync.Once
	key  [sha256.Size]byte
}

func newIsolation(env core.Env, by Isolation) *isolation {
	k := core.Shared[isolationKey](env.Process)
	k.once.Do(func() { _, _ = rand.Read(k.key[:]) }) // it never fails
	return &isolation{by: by, name: env.Name, key: k.key[:]}
}

// login returns the login for r. Associations have no target.
func (i *isolation) login(r *core.Request, cmd byte) *login {
	mac := hmac.New(sha256.New, i.key)
	part := func(by, text string) {
		if slices.Contains(i.by, by) {
			mac.Write([]byte{0})
			mac.Write([]byte(text)) // no text contains a zero byte
		} else {
			mac.Write([]byte{0, 0})
		}
	}
	mac.Write([]byte(i.name))
	part("user", r.User)
	part("client", r.Client.Addr.Addr().Unmap().String())
	if cmd == socksaddr.CmdConnect {
		part("target", r.Target.Host())
	}
	sum := hex.EncodeToString(mac.Sum(nil))
	return &login{name: sum[:len(sum)/2], password: sum[len(sum)/2:]}
}
