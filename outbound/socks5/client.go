package socks5

import (
	"fmt"
	"io"
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// client is the client's side of one request:
//
//	greeting →
//	         ← method
//	login    →          if the method is that of a password
//	         ← status
//	request  →
//	         ← reply
//
// With pipelining all messages of the client leave at once.
type client struct {
	methods    []byte // offered; with pipelining one
	login      *login
	cmd        byte
	target     core.Addr
	pipelining bool
}

// first returns what leaves with the dial.
func (c *client) first() []byte {
	b := append([]byte{socksaddr.Version, byte(len(c.methods))}, c.methods...)
	if !c.pipelining {
		return b
	}
	if c.methods[0] == socksaddr.MethodPassword {
		b = c.appendLogin(b)
	}
	return c.appendRequest(b)
}

// appendLogin appends the name and the password (RFC 1929 §2).
func (c *client) appendLogin(b []byte) []byte {
	b = append(append(b, socksaddr.LoginVersion, byte(len(c.login.name))), c.login.name...)
	return append(append(b, byte(len(c.login.password))), c.login.password...)
}

// appendRequest appends the request (RFC 1928 §4).
func (c *client) appendRequest(b []byte) []byte {
	return socksaddr.Append(append(b, socksaddr.Version, c.cmd, 0), c.target)
}

// talk reads the server's messages, and no byte beyond them, and writes the client's
// remaining ones. It returns the address in the reply to UDP ASSOCIATE.
func (c *client) talk(conn io.ReadWriter) (bound core.Addr, err error) {
	method, err := c.readMethod(conn)
	if err != nil {
		return core.Addr{}, fmt.Errorf("greeting: %w", err)
	}
	if method == socksaddr.MethodPassword {
		if err := c.logIn(conn); err != nil {
			return core.Addr{}, fmt.Errorf("login: %w", err)
		}
	}
	if !c.pipelining {
		if _, err := conn.Write(c.appendRequest(nil)); err != nil {
			return core.Addr{}, fmt.Errorf("request: %w", err)
		}
	}
	bound, err = readReply(conn, c.cmd)
	if err != nil {
		return core.Addr{}, fmt.Errorf("request: %w", err)
	}
	return bound, nil
}

// readMethod reads which of the offered methods the server has chosen:
//
//	+-----+--------+
//	| VER | METHOD |
//	| 1B  |   1B   |
//	+-----+--------+
//
// It returns an ErrAuth if the server takes none, an ErrMalformed for another version, or
// for a method that was not offered. See RFC 1928 §3.
func (c *client) readMethod(conn io.Reader) (byte, error) {
	var b [2]byte
	if _, err := io.ReadFull(conn, b[:1]); err != nil {
		return 0, err
	}
	if b[0] != socksaddr.Version { // said at once: another protocol may send no second byte
		return 0, fmt.Errorf("%w: the first byte is 0x%02x%s, not 5", core.ErrMalformed, b[0], looksLike(b[0]))
	}
	if _, err := io.ReadFull(conn, b[1:]); err != nil {
		return 0, err
	}
	switch method := b[1]; {
	case method == socksaddr.MethodRefused && c.login == nil:
		return 0, fmt.Errorf("%w: the server wants a user and a password", core.ErrAuth)
	case method == socksaddr.MethodRefused:
		return 0, fmt.Errorf("%w: the server takes no user and password", core.ErrAuth)
	case !slices.Contains(c.methods, method):
		return 0, fmt.Errorf("%w: the server chose method %d, which was not offered", core.ErrMalformed, method)
	default:
		return method, nil
	}
}

// logIn sends the login and reads its status:
//
//	+-----+--------+
//	| VER | STATUS |
//	| 1B  |   1B   |
//	+-----+--------+
//
// It returns an ErrAuth for a status other than 0. See RFC 1929 §2.
func (c *client) logIn(conn io.ReadWriter) error {
	if !c.pipelining {
		if _, err := conn.Write(c.appendLogin(nil)); err != nil {
			return err
		}
	}
	var b [2]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return err
	}
	switch {
	case b[0] != socksaddr.LoginVersion:
		return fmt.Errorf("%w: version %d, not 1", core.ErrMalformed, b[0])
	case b[1] != socksaddr.LoginSuccess:
		return fmt.Errorf("%w: the server refuses the user %q or the password (status %d)", core.ErrAuth, c.login.name, b[1])
	}
	return nil
}

// looksLike returns the name of a protocol whose server begins with c, for an operator who
// named a wrong port.
func looksLike(c byte) string {
	switch c {
	case 0:
		return " (SOCKS4)"
	case 0x15, 0x16:
		return " (TLS)"
	case 'H':
		return " (HTTP)"
	case 'S':
		return " (SSH)"
	}
	return ""
}
