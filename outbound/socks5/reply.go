package socks5

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// readReply reads the reply to a request and not a byte more:
//
//	+-----+-----+-----+------+----------+----------+
//	| VER | REP | RSV | ATYP | BND.ADDR | BND.PORT |
//	| 1B  | 1B  | 1B  |  1B  | variable |  2B be   |
//	+-----+-----+-----+------+----------+----------+
//
// BND is returned for UDP ASSOCIATE. For CONNECT it means nothing to a client, so it is
// skipped and may be any. A REP other than 0 is the error of refusal; what follows it is not
// waited for, because some servers send no more. See RFC 1928 §6.
func readReply(conn io.Reader, cmd byte) (core.Addr, error) {
	var b [3 + socksaddr.MaxLen]byte
	if _, err := io.ReadFull(conn, b[:2]); err != nil {
		return core.Addr{}, err
	}
	if b[0] != socksaddr.Version {
		return core.Addr{}, fmt.Errorf("%w: version %d in the reply, not 5", core.ErrMalformed, b[0])
	}
	if b[1] != socksaddr.RepSuccess {
		return core.Addr{}, refusal(b[1], cmd)
	}
	const head = 5 // the reply with the type of the address and its first byte
	if _, err := io.ReadFull(conn, b[2:head]); err != nil {
		return core.Addr{}, err
	}
	size, err := socksaddr.Size(b[3], b[4])
	if err != nil {
		return core.Addr{}, fmt.Errorf("address in the reply: %w", err)
	}
	if _, err := io.ReadFull(conn, b[head:3+size]); err != nil {
		return core.Addr{}, err
	}
	if cmd != socksaddr.CmdAssociate {
		return core.Addr{}, nil
	}
	bound, _, err := socksaddr.Decode(b[3 : 3+size])
	if err == nil && bound.Port() == 0 {
		err = fmt.Errorf("%w: port 0", core.ErrMalformed)
	}
	if err != nil {
		return core.Addr{}, fmt.Errorf("address in the reply: %w", err)
	}
	return bound, nil
}

// A refused is a reply other than success, in the words of RFC 1928.
type refused struct {
	rep   byte
	words string
	cause error // what it means; may be nil
}

func (r *refused) Error() string { return fmt.Sprintf("reply %02x: %s", r.rep, r.words) }
func (r *refused) Unwrap() error { return r.cause }

// refusal returns the error of a reply. What the reply says of the target is marked by
// core.AtTarget. So is "not allowed": servers decide it by the target, and no client's wish
// for a forbidden one says that the server is down.
func refusal(rep, cmd byte) error {
	switch rep {
	case socksaddr.RepFailure:
		return &refused{rep, "general failure of the server", nil}
	case socksaddr.RepNotAllowed:
		return core.AtTarget(&refused{rep, "not allowed by the rules of the server", core.ErrDenied})
	case socksaddr.RepNetUnreachable:
		return core.AtTarget(&refused{rep, "network unreachable", syscall.ENETUNREACH})
	case socksaddr.RepHostUnreachable:
		return core.AtTarget(&refused{rep, "host unreachable, or its name not found", syscall.EHOSTUNREACH})
	case socksaddr.RepRefused:
		return core.AtTarget(&refused{rep, "connection refused", syscall.ECONNREFUSED})
	case socksaddr.RepExpired:
		return core.AtTarget(&refused{rep, "TTL expired", syscall.ETIMEDOUT})
	case socksaddr.RepBadCommand:
		if cmd == socksaddr.CmdAssociate {
			return &refused{rep, `the server has no UDP ASSOCIATE; set mode = "tcp"`, core.ErrNoPackets}
		}
		return &refused{rep, "the server has no CONNECT", nil}
	case socksaddr.RepBadAddrType:
		return core.AtTarget(&refused{rep, "address type not supported by the server", errAddrType})
	}
	if words, ok := onionWords[rep]; ok {
		return core.AtTarget(&refused{rep, words, syscall.EHOSTUNREACH})
	}
	return &refused{rep, "unknown to RFC 1928", nil}
}

// errAddrType says that the server can't take the kind of the target's address.
var errAddrType = errors.New("address type not supported")

// onionWords are the replies of Tor's ExtendedErrors (socks-extensions, "Extended error
// codes").
var onionWords = map[byte]string{
	0xf0: "onion service descriptor not found",
	0xf1: "onion service descriptor invalid",
	0xf2: "onion service introduction failed",
	0xf3: "onion service rendezvous failed",
	0xf4: "onion service wants a client's key",
	0xf5: "onion service refuses the client's key",
	0xf6: "onion address invalid",
	0xf7: "onion service introduction timed out",
}
