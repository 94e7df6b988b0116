package aead2022

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	idSize       = 8
	separateSize = 2 * idSize
)

// appendSeparate appends the separate header of a datagram to b:
//
//	+-----------+----------+
//	| sessionID | packetID |
//	|    8B     |  8B be   |
//	+-----------+----------+
//
// packetID is the number of the datagram in the session, from 0. See SIP022 §3.2.2.
func appendSeparate(b []byte, sessionID, packetID uint64) []byte {
	b = binary.BigEndian.AppendUint64(b, sessionID)
	return binary.BigEndian.AppendUint64(b, packetID)
}

// parseSeparate is the inverse. b has at least separateSize bytes.
func parseSeparate(b []byte) (sessionID, packetID uint64) {
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[idSize:])
}

// appendClientHeader appends the main header of a client's datagram, up to the
// address, to b:
//
//	+------+---------------+----------------+----------+------+----------+-------+---------+
//	| type |   timestamp   | padding length | padding  | ATYP |   ADDR   | PORT  | payload |
//	|  1B  | 8B be, Unix s |     2B be      | variable |  1B  | variable | 2B be |    …    |
//	+------+---------------+----------------+----------+------+----------+-------+---------+
//
// type is 0. now is rounded down to seconds. See SIP022 §3.2.3.
func appendClientHeader(b []byte, now time.Time, padding []byte) []byte {
	return appendPadding(appendTime(append(b, typeClient), now), padding)
}

// parseClientHeader is the inverse; rest, the address and the payload, is part of b. It
// returns ErrClock if the time differs from now by more than 30 s, and ErrMalformed for
// another type and for padding beyond the end.
func parseClientHeader(b []byte, now time.Time) (sent time.Time, rest []byte, err error) {
	const size = 1 + 8
	if len(b) < size {
		return time.Time{}, nil, fmt.Errorf("%w: ends within the header", core.ErrMalformed)
	}
	if sent, err = parseTypeAndTime(b, typeClient, now); err != nil {
		return time.Time{}, nil, err
	}
	if rest, _, err = cutPadding(b[size:]); err != nil {
		return time.Time{}, nil, err
	}
	return sent, rest, nil
}

// appendServerHeader appends the main header of a server's datagram, up to the
// address, to b:
//
//	+------+---------------+-------------------+----------------+----------+------+----------+-------+---------+
//	| type |   timestamp   | client session ID | padding length | padding  | ATYP |   ADDR   | PORT  | payload |
//	|  1B  | 8B be, Unix s |        8B         |     2B be      | variable |  1B  | variable | 2B be |    …    |
//	+------+---------------+-------------------+----------------+----------+------+----------+-------+---------+
//
// type is 1. See SIP022 §3.2.3.
func appendServerHeader(b []byte, now time.Time, clientID uint64, padding []byte) []byte {
	b = appendTime(append(b, typeServer), now)
	return appendPadding(binary.BigEndian.AppendUint64(b, clientID), padding)
}

// parseServerHeader is the inverse, with the errors of parseClientHeader.
func parseServerHeader(b []byte, now time.Time) (clientID uint64, rest []byte, err error) {
	const size = 1 + 8 + idSize
	if len(b) < size {
		return 0, nil, fmt.Errorf("%w: ends within the header", core.ErrMalformed)
	}
	if _, err := parseTypeAndTime(b, typeServer, now); err != nil {
		return 0, nil, err
	}
	if rest, _, err = cutPadding(b[size:]); err != nil {
		return 0, nil, err
	}
	return binary.BigEndian.Uint64(b[size-idSize:]), rest, nil
}
