package aead2022

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// The type of a message: the first byte of its header. See SIP022 §3.1.3 and §3.2.
const (
	typeClient = 0
	typeServer = 1
)

const (
	requestHeaderSize = 1 + 8 + 2
	paddingLengthSize = 2
)

// responseHeaderSize returns the size of the header of a response in bytes.
func responseHeaderSize(saltSize int) int { return 1 + 8 + saltSize + 2 }

// appendRequestHeader appends the fixed-length header of a request to b:
//
//	+------+---------------+--------+
//	| type |   timestamp   | length |
//	|  1B  | 8B be, Unix s | 2B be  |
//	+------+---------------+--------+
//
// type is 0. length is the size of the variable-length header in bytes, without
// its tag. now is rounded down to seconds. See SIP022 §3.1.3.
func appendRequestHeader(b []byte, now time.Time, length int) []byte {
	b = appendTime(append(b, typeClient), now)
	return binary.BigEndian.AppendUint16(b, uint16(length))
}

// parseRequestHeader is the inverse. It returns ErrClock if the time differs from now by
// more than 30 s, and ErrMalformed for another type and for a length of 0, which is too
// short for a variable-length header.
func parseRequestHeader(b []byte, now time.Time) (sent time.Time, length int, err error) {
	if len(b) != requestHeaderSize {
		return time.Time{}, 0, fmt.Errorf("%w: header of %d bytes, want %d", core.ErrMalformed, len(b), requestHeaderSize)
	}
	if sent, err = parseTypeAndTime(b, typeClient, now); err != nil {
		return time.Time{}, 0, err
	}
	length = int(binary.BigEndian.Uint16(b[9:]))
	if length == 0 {
		return time.Time{}, 0, fmt.Errorf("%w: empty header", core.ErrMalformed)
	}
	return sent, length, nil
}

// appendResponseHeader appends the fixed-length header of a response to b:
//
//	+------+---------------+--------------+--------+
//	| type |   timestamp   | request salt | length |
//	|  1B  | 8B be, Unix s |   16B, 32B   | 2B be  |
//	+------+---------------+--------------+--------+
//
// type is 1. length is the size of the first payload in bytes, without its tag.
// See SIP022 §3.1.3.
func appendResponseHeader(b []byte, now time.Time, requestSalt []byte, length int) []byte {
	b = appendTime(append(b, typeServer), now)
	b = append(b, requestSalt...)
	return binary.BigEndian.AppendUint16(b, uint16(length))
}

// parseResponseHeader is the inverse. In addition to the errors of parseRequestHeader it
// returns ErrAuth if the response does not belong to the request with requestSalt.
func parseResponseHeader(b []byte, now time.Time, requestSalt []byte) (length int, err error) {
	if want := responseHeaderSize(len(requestSalt)); len(b) != want {
		return 0, fmt.Errorf("%w: header of %d bytes, want %d", core.ErrMalformed, len(b), want)
	}
	if _, err := parseTypeAndTime(b, typeServer, now); err != nil {
		return 0, err
	}
	if !bytes.Equal(b[9:9+len(requestSalt)], requestSalt) {
		return 0, fmt.Errorf("response to another request: %w", core.ErrAuth)
	}
	length = int(binary.BigEndian.Uint16(b[9+len(requestSalt):]))
	if length == 0 {
		return 0, fmt.Errorf("%w: response without payload", core.ErrMalformed)
	}
	return length, nil
}

// appendAddressing appends the beginning of a request's variable-length header to b; the
// first payload follows it:
//
//	+------+----------+-------+----------------+----------+---------+
//	| ATYP |   ADDR   | PORT  | padding length | padding  | payload |
//	|  1B  | variable | 2B be |     2B be      | 0 to 900 |    …    |
//	+------+----------+-------+----------------+----------+---------+
//
// There must be padding or a payload. See SIP022 §3.1.3.
func appendAddressing(b []byte, target core.Addr, padding []byte) []byte {
	return appendPadding(socksaddr.Append(b, target), padding)
}

// parseAddressing is the inverse; payload is part of b. It returns ErrMalformed for an
// invalid address, for padding beyond the end, and if both padding and payload are
// missing. Padding of more than 900 bytes is valid.
func parseAddressing(b []byte) (target core.Addr, payload []byte, err error) {
	target, n, err := socksaddr.Decode(b)
	if err != nil {
		return core.Addr{}, nil, badAddress(err)
	}
	payload, padding, err := cutPadding(b[n:])
	if err == nil && padding == 0 && len(payload) == 0 {
		err = fmt.Errorf("%w: neither padding nor payload", core.ErrMalformed)
	}
	if err != nil {
		return core.Addr{}, nil, err
	}
	return target, payload, nil
}

// badAddress converts an error of socksaddr.Decode for a complete message: an incomplete
// address is malformed, because no more bytes follow.
func badAddress(err error) error {
	if errors.Is(err, core.ErrShort) {
		return fmt.Errorf("%w: ends within the address", core.ErrMalformed)
	}
	return fmt.Errorf("address: %w", err)
}

// appendPadding appends the length of padding and padding to b.
func appendPadding(b, padding []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(padding))), padding...)
}

// cutPadding removes the padding at the beginning of b. It returns the rest and the length
// of the padding in bytes.
func cutPadding(b []byte) (rest []byte, padding int, err error) {
	if len(b) < paddingLengthSize {
		return nil, 0, fmt.Errorf("%w: ends before the padding", core.ErrMalformed)
	}
	padding = int(binary.BigEndian.Uint16(b))
	b = b[paddingLengthSize:]
	if padding > len(b) {
		return nil, 0, fmt.Errorf("%w: padding of %d bytes in %d", core.ErrMalformed, padding, len(b))
	}
	return b[padding:], padding, nil
}
