package socks

import (
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// maxMessage is the longest message of a client in bytes: a login with a name and a
// password of 255 bytes.
const maxMessage = 1 + 1 + 255 + 1 + 255

// parseGreeting reads the message that b begins with and returns the offered
// methods, which alias b, and its length in bytes:
//
//	+-----+----------+----------+
//	| VER | NMETHODS | METHODS  |
//	| 1B  |    1B    | NMETHODS |
//	+-----+----------+----------+
//
// It returns ErrMalformed for a VER other than 5 as soon as there is one byte,
// ErrShort if b ends before the message does. See RFC 1928 §3.
func parseGreeting(b []byte) (methods []byte, n int, err error) {
	if len(b) == 0 {
		return nil, 0, core.ErrShort
	}
	if b[0] != socksaddr.Version {
		return nil, 0, fmt.Errorf("%w: first byte 0x%02x%s, not 5", core.ErrMalformed, b[0], looksLike(b[0]))
	}
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return nil, 0, core.ErrShort
	}
	n = 2 + int(b[1])
	return b[2:n], n, nil
}

// looksLike returns the name of a protocol whose first byte is c. The name is in the log,
// for an operator who connected a wrong program to the port.
func looksLike(c byte) string {
	switch {
	case c == 4:
		return " (SOCKS4)"
	case c == 0x16:
		return " (TLS)"
	case 'A' <= c && c <= 'Z':
		return " (HTTP)"
	}
	return ""
}

// login is the name and password that a client sent. The fields alias the message.
type login struct{ name, password []byte }

// parseLogin reads the message that b begins with and returns its length in
// bytes:
//
//	+-----+------+----------+------+----------+
//	| VER | ULEN |  UNAME   | PLEN |  PASSWD  |
//	| 1B  |  1B  | 1-255 B  |  1B  | 0-255 B  |
//	+-----+------+----------+------+----------+
//
// It returns ErrMalformed for a VER other than 1 and for an empty name,
// ErrShort if b ends before the message does. See RFC 1929 §2.
func parseLogin(b []byte) (l login, n int, err error) {
	if len(b) > 0 && b[0] != socksaddr.LoginVersion {
		return login{}, 0, fmt.Errorf("%w: version %d, not 1", core.ErrMalformed, b[0])
	}
	if len(b) > 1 && b[1] == 0 {
		return login{}, 0, fmt.Errorf("%w: empty user name", core.ErrMalformed)
	}
	if len(b) < 2 || len(b) < 2+int(b[1])+1 {
		return login{}, 0, core.ErrShort
	}
	at := 2 + int(b[1]) // of PLEN
	n = at + 1 + int(b[at])
	if len(b) < n {
		return login{}, 0, core.ErrShort
	}
	return login{name: b[2:at], password: b[at+1 : n]}, n, nil
}

// request is the request of a client. It does not alias the message.
type request struct {
	cmd    byte
	target core.Addr
}

// parseRequest reads the message that b begins with and returns its length in
// bytes:
//
//	+-----+-----+-----+------+----------+----------+
//	| VER | CMD | RSV | ATYP | DST.ADDR | DST.PORT |
//	| 1B  | 1B  | 1B  |  1B  | variable |  2B be   |
//	+-----+-----+-----+------+----------+----------+
//
// RSV is ignored. parseRequest returns ErrMalformed for a VER other than 5, and
// what decode.target returns for the address. See RFC 1928 §4.
func parseRequest(b []byte) (r request, n int, err error) {
	if len(b) > 0 && b[0] != socksaddr.Version {
		return request{}, 0, fmt.Errorf("%w: version %d, not 5", core.ErrMalformed, b[0])
	}
	if len(b) < 3 {
		return request{}, 0, core.ErrShort
	}
	target, n, err := decode(socksaddr.Decode).target(b[3:])
	if err != nil {
		return request{}, 0, err
	}
	return request{cmd: b[1], target: target}, 3 + n, nil
}

// commandName returns what RFC 1928 calls a command.
func commandName(cmd byte) string {
	switch cmd {
	case socksaddr.CmdConnect:
		return "CONNECT"
	case socksaddr.CmdBind:
		return "BIND"
	case socksaddr.CmdAssociate:
		return "UDP ASSOCIATE"
	case socksaddr.CmdResolve:
		return "RESOLVE"
	case socksaddr.CmdResolveName:
		return "RESOLVE_PTR"
	}
	return fmt.Sprintf("command %d", cmd)
}

// appendReply appends the reply to a CONNECT, or to any refused request. BND is
// 0.0.0.0:0: clients don't need the address that the target sees, which may be unknown or
// that of another machine.
func appendReply(b []byte, rep byte) []byte {
	return appendReplyAt(b, rep, core.NewIPAddr(netip.IPv4Unspecified(), 0))
}

// appendReplyAt appends the reply to a request:
//
//	+-----+-----+-----+------+----------+----------+
//	| VER | REP | RSV | ATYP | BND.ADDR | BND.PORT |
//	| 1B  | 1B  |  0  |  1B  | variable |  2B be   |
//	+-----+-----+-----+------+----------+----------+
//
// BND of an association is the address for the client's datagrams. See RFC 1928 §6.
func appendReplyAt(b []byte, rep byte, bound core.Addr) []byte {
	return socksaddr.Append(append(b, socksaddr.Version, rep, 0), bound)
}
