package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// An opcode says what a frame carries (RFC 6455 §11.8).
type opcode byte

// The opcodes. Those from opClose on are of control frames.
const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xA
)

const (
	maxHeader  = 14  // bytes of a frame's header: 2, 8 of the length, 4 of the key
	maxControl = 125 // bytes of a control frame's payload, RFC 6455 §5.5
)

// A closeCode says why a connection ends (RFC 6455 §7.4.1).
type closeCode uint16

// The codes that are sent or treated apart.
const (
	closeNormal      closeCode = 1000
	closeGoingAway   closeCode = 1001
	closeProtocol    closeCode = 1002
	closeUnsupported closeCode = 1003
	closeNoStatus    closeCode = 1005 // is not sent: the frame had no code
)

// header is the header of a frame.
type header struct {
	final  bool
	op     opcode
	masked bool
	key    [4]byte // if masked
	length uint64  // of the payload in bytes, at most 1<<63 - 1
}

func (h header) control() bool { return h.op >= opClose }

// violation is a breach of the protocol by the peer, and the code with which it is answered.
// It is a core.ErrMalformed.
type violation struct {
	code closeCode
	text string
}

func (v *violation) Error() string {
	return fmt.Sprintf("%v: websocket: %s", core.ErrMalformed, v.text)
}

// Unwrap returns core.ErrMalformed.
func (v *violation) Unwrap() error { return core.ErrMalformed }

// breach returns a violation with the code of protocol errors.
func breach(format string, args ...any) error {
	return &violation{closeProtocol, fmt.Sprintf(format, args...)}
}

// appendHeader appends the header of a frame to b (RFC 6455 §5.2):
//
//	+-----+-----+--------+------+--------+-----------------+------------+
//	| FIN | RSV | opcode | MASK | length | extended length | masking key|
//	| 1b  | 3b  |   4b   |  1b  |   7b   | 0, 2 or 8B be   | 0 or 4B    |
//	+-----+-----+--------+------+--------+-----------------+------------+
//
// The length has the shortest form.
func appendHeader(b []byte, h header) []byte {
	first, mask := byte(h.op), byte(0)
	if h.final {
		first |= 0x80
	}
	if h.masked {
		mask = 0x80
	}
	switch {
	case h.length <= 125:
		b = append(b, first, mask|byte(h.length))
	case h.length <= 0xFFFF:
		b = binary.BigEndian.AppendUint16(append(b, first, mask|126), uint16(h.length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, mask|127), h.length)
	}
	if h.masked {
		b = append(b, h.key[:]...)
	}
	return b
}

// parseHeader is the inverse. need is the size of the header as far as b tells it: if b is
// shorter, h is not set. The error is a violation.
func parseHeader(b []byte) (h header, need int, err error) {
	if len(b) < 2 {
		return h, 2, nil
	}
	length, extended := b[1]&0x7F, 0
	switch length {
	case 126:
		extended = 2
	case 127:
		extended = 8
	}
	need = 2 + extended
	if b[1]&0x80 != 0 {
		need += len(h.key)
	}
	if b[0]&0x70 != 0 {
		return h, need, breach("a reserved bit is set, and no extension was agreed on")
	}
	if len(b) < need {
		return header{}, need, nil
	}
	h = header{final: b[0]&0x80 != 0, op: opcode(b[0] & 0x0F), masked: b[1]&0x80 != 0, length: uint64(length)}
	low := uint64(0) // below which a shorter form would have done
	switch extended {
	case 2:
		h.length, low = uint64(binary.BigEndian.Uint16(b[2:])), 126
	case 8:
		h.length, low = binary.BigEndian.Uint64(b[2:]), 1<<16
	}
	if h.masked {
		h.key = [4]byte(b[need-4 : need])
	}
	switch {
	case h.length < low:
		return h, need, breach("a length of %d in a longer form than it needs", h.length)
	case h.length>>63 != 0:
		return h, need, breach("a length with the highest bit set")
	case h.op > opBinary && h.op < opClose || h.op > opPong:
		return h, need, breach("unknown opcode %#x", byte(h.op))
	case h.control() && !h.final:
		return h, need, breach("a control frame in fragments")
	case h.control() && h.length > maxControl:
		return h, need, breach("a control frame of more than %d bytes", maxControl)
	}
	return h, need, nil
}

// errOddClose is the error of a Close frame whose payload has one byte, or a code that no
// peer may send.
var errOddClose = errors.New("invalid Close frame")

// parseClose returns the code of a Close frame (RFC 6455 §5.5.1, §7.4).
func parseClose(payload []byte) (closeCode, error) {
	switch len(payload) {
	case 0:
		return closeNoStatus, nil
	case 1:
		return 0, errOddClose
	}
	code := closeCode(binary.BigEndian.Uint16(payload))
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return code, nil
	}
	return 0, errOddClose
}
