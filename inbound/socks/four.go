package socks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/inbound"
)

// Version4 is the first byte of a request of SOCKS4 and SOCKS4a.
const Version4 = 4

// The commands and the answers of SOCKS4. The answers have a version of their own, 0.
const (
	connect4  = 1
	bind4     = 2
	granted4  = 90 // also called 0x5A
	rejected4 = 91 // rejected or failed; 92 and 93 are about identd, which is not asked
)

// maxText4 is the longest user ID, and the longest name, in bytes.
const maxText4 = 255

// four is the Handshaker of SOCKS4 and SOCKS4a, which have names and no passwords.
type four struct {
	users inbound.Users
	mode  option.Mode
}

// NewFour returns the Handshaker of SOCKS4 and SOCKS4a. It serves nobody if there are users:
// the protocol has no password.
func NewFour(users inbound.Users, mode option.Mode) inbound.Handshaker { return four{users, mode} }

// Handshake reads a request. Bytes that the client sent after it become the request's
// payload. Its errors are those of SOCKS5.
func (h four) Handshake(_ context.Context, conn core.Stream, _ core.Client, requests inbound.Requests) error {
	w := &window{conn: conn}
	r, err := next(w, "SOCKS4 request", parseRequest4)
	switch {
	case err != nil:
		return refuseMalformed(reply4(rejected4), err)
	case len(h.users) > 0:
		return refuse4(fmt.Errorf("SOCKS4 request: no password, and there are users: %w", core.ErrDenied))
	case r.cmd != connect4 || !h.mode.Streams():
		return refuse4(fmt.Errorf("SOCKS4 request: %s is not served: %w", commandName4(r.cmd), core.ErrDenied))
	case r.target.Port() == 0:
		return refuse4(fmt.Errorf("SOCKS4 request: %w: port 0 in target %s", core.ErrMalformed, r.target))
	}
	requests.Stream(&core.Request{Target: r.target, Payload: w.rest(), AwaitsReply: true}, pending4{conn})
	return nil
}

// Fail ends a connection as that of SOCKS5 does.
func (four) Fail(conn core.Stream, deadline time.Time, err error) { fail(conn, deadline, err) }

func commandName4(cmd byte) string {
	switch cmd {
	case connect4:
		return "CONNECT"
	case bind4:
		return "BIND"
	}
	return fmt.Sprintf("command %d", cmd)
}

// parseRequest4 reads the message that b begins with and returns its length in bytes:
//
//	+-----+-----+---------+-------+----------+------+
//	| VER | CMD | DSTPORT | DSTIP | USERID   | NULL |
//	| 1B  | 1B  |  2B be  |  4B   | variable |  0   |
//	+-----+-----+---------+-------+----------+------+
//
// In SOCKS4a DSTIP is 0.0.0.x with an x that is not 0, and a name with a NULL follows. The
// user ID is not looked at. It returns ErrMalformed for a VER other than 4 and for longer
// texts than 255 bytes, and what decode.target returns for the name.
func parseRequest4(b []byte) (r request, n int, err error) {
	if len(b) > 0 && b[0] != Version4 {
		return request{}, 0, fmt.Errorf("%w: version %d, not 4", core.ErrMalformed, b[0])
	}
	if len(b) < 9 {
		return request{}, 0, core.ErrShort
	}
	port, ip := b[2:4], b[4:8]
	_, n, err = cutText4(b, 8, "user ID")
	if err != nil {
		return request{}, 0, err
	}
	wire := append(append([]byte{atypIPv4}, ip...), port...)
	if ip[0] == 0 && ip[1] == 0 && ip[2] == 0 && ip[3] != 0 {
		var name []byte
		if name, n, err = cutText4(b, n, "name"); err != nil {
			return request{}, 0, err
		}
		wire = append(append([]byte{atypDomain, byte(len(name))}, name...), port...)
	}
	target, _, err := decode(socksaddr.Decode).target(wire)
	if errors.Is(err, core.ErrShort) {
		err = fmt.Errorf("%w: an empty name", core.ErrMalformed) // nothing more will come
	}
	if err != nil {
		return request{}, 0, err
	}
	return request{cmd: b[1], target: target}, n, nil
}

const atypIPv4 = 1 // the type of an address of four bytes (RFC 1928 §5)

// cutText4 returns the text that begins at from and ends before a NULL, and where what
// follows begins.
func cutText4(b []byte, from int, what string) (text []byte, after int, err error) {
	end := bytes.IndexByte(b[from:], 0)
	switch {
	case end > maxText4, end < 0 && len(b)-from > maxText4:
		return nil, 0, fmt.Errorf("%w: a %s of more than %d bytes", core.ErrMalformed, what, maxText4)
	case end < 0:
		return nil, 0, core.ErrShort
	}
	return b[from : from+end], from + end + 1, nil
}

// reply4 is the answer to a request; its address means nothing to a CONNECT.
func reply4(code byte) []byte { return []byte{0, code, 0, 0, 0, 0, 0, 0} }

func refuse4(cause error) error { return &refusal{answer: reply4(rejected4), cause: cause} }

// pending4 is a client that waits for the result of its CONNECT.
type pending4 struct{ conn core.Stream }

var _ core.Pending = pending4{}

// Accept sends the success reply. After an error it closes the connection.
func (p pending4) Accept() (core.Stream, error) {
	if _, err := p.conn.Write(reply4(granted4)); err != nil {
		_ = p.conn.Close()
		return nil, fmt.Errorf("reply: %w", err)
	}
	return p.conn, nil
}

// Reject sends the one reply for all failures, waits up to a second for the client to read
// it, and closes the connection.
func (p pending4) Reject(error) {
	dismiss(p.conn, time.Now().Add(lingerTime), reply4(rejected4))
	_ = p.conn.Close()
}
