package aead

import (
	"errors"
	"fmt"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// accept reads one request. It opens chunks into scratch, not in place, so that the bytes
// of an invalid request can be returned unchanged.
type accept struct {
	cipher  *Cipher
	reader  *chunk.Reader
	from    core.Caller
	user    *user
	salt    []byte // a copy
	box     chunk.Box
	length  int // of the next payload
	scratch *netio.Buffer
	plain   []byte // the plaintext so far; in scratch
	wire    int    // bytes of the wire that were opened to plain
}

// run returns the target and the plaintext after it, which is valid until the reader is
// used again. It leaves the reader at the next chunk.
func (a *accept) run() (core.Addr, []byte, error) {
	defer func() { a.scratch.Return() }()
	if err := a.openSalt(); err != nil {
		return core.Addr{}, nil, err
	}
	for {
		if err := a.openPayload(); err != nil {
			return core.Addr{}, nil, err
		}
		target, n, err := socksaddr.Decode(a.plain)
		switch {
		case errors.Is(err, core.ErrShort) && len(a.plain) < socksaddr.MaxLen:
			if err := a.openLength(); err != nil { // the address continues in the next chunk
				return core.Addr{}, nil, err
			}
			continue
		case err != nil:
			return core.Addr{}, nil, core.Authenticated(fmt.Errorf("address: %w", err))
		}
		a.reader.Start(a.box, maxPayload, 0)
		return target, a.reader.SkipFor(a.wire, a.plain[n:]), nil
	}
}

// openSalt determines the user from the salt and the first sealed length. It waits for
// both before it computes anything.
func (a *accept) openSalt() error {
	c, size := a.cipher, a.cipher.spec.KeySize
	b, err := a.reader.Await(size + headSize)
	if err != nil {
		return err
	}
	head := append([]byte(nil), b...)
	if a.user = c.find(a.from, a.reader.ReleaseBuffer, func(u *user) bool { return a.opens(u, head) }); a.user == nil {
		return fmt.Errorf("length of a chunk: %w", core.ErrAuth)
	}
	if !c.addSalt(head[:size]) {
		return core.ErrReplay
	}
	a.salt, a.wire, a.reader.Waits = head[:size:size], len(head), nil
	return nil
}

// opens reports whether the first length can be opened with the key of u.
func (a *accept) opens(u *user, head []byte) bool {
	size := a.cipher.spec.KeySize
	aead, err := a.cipher.spec.session(u.key, head[:size])
	if err != nil {
		return false
	}
	var b [lengthSize]byte
	a.box = chunk.NewBox(aead)
	a.length, err = a.box.OpenLength(b[:0], head[size:])
	return err == nil
}

// openLength opens the length of the next chunk.
func (a *accept) openLength() error {
	head, err := a.reader.Await(a.wire + headSize)
	if err != nil {
		return err
	}
	var b [lengthSize]byte
	a.length, err = a.box.OpenLength(b[:0], head[a.wire:])
	a.wire += headSize
	return err
}

// openPayload appends the next payload to a.plain.
func (a *accept) openPayload() error {
	n := a.length
	if err := chunk.CheckLength(n, maxPayload); err != nil {
		return err
	}
	whole, err := a.reader.Await(a.wire + n + tagSize)
	if err != nil {
		return err
	}
	if a.scratch == nil {
		a.scratch = netio.BorrowBuffer()
		a.plain = a.scratch.B[:0]
	}
	if n > len(a.scratch.B)-len(a.plain) {
		return core.Authenticated(fmt.Errorf("%w: address in too many chunks", core.ErrMalformed))
	}
	if a.plain, err = a.box.OpenPayload(a.plain, whole[a.wire:]); err != nil {
		return err
	}
	a.wire += n + tagSize
	return nil
}
