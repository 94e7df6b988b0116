package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// firstRead is the maximum number of bytes of one read of a request. All bytes after the
// address become the first payload, in newly allocated memory.
const firstRead = 4 << 10

// accept reads one request. It decrypts into separate memory, not in place, so that the
// bytes of an invalid request can be returned unchanged.
type accept struct {
	cipher *Cipher
	wire   core.Stream
	waits  func([]byte) // see core.Caller
	raw    []byte       // the bytes received so far
	keys   keystream
	begun  bool                   // keys is set
	plain  [socksaddr.MaxLen]byte // the beginning of the plaintext
	size   int                    // number of bytes in plain

	// The result.
	stream  core.Stream
	target  core.Addr
	payload []byte
}

// leastAddress is the size of the shortest address: a name of one byte.
const leastAddress = 1 + 1 + 1 + 2

// LeastRequest returns the size of the IV and the shortest address.
func (c *Cipher) LeastRequest() int { return c.spec.IVSize + leastAddress }

// run reads until the request is complete or invalid. After an error a.raw contains all
// bytes that were read.
func (a *accept) run() error {
	source := netio.NewSource(a.wire, a.layout, nil)
	for {
		if a.waits != nil {
			a.waits(a.raw)
		}
		buf, n, err := source.Fill(nil)
		if err != nil {
			return a.ended(err)
		}
		a.raw = buf.B[:len(a.raw)+n]
		err = a.parse()
		if err != nil {
			a.raw = bytes.Clone(a.raw)
		}
		buf.Return()
		if !errors.Is(err, core.ErrShort) {
			return err
		}
	}
}

// layout copies the received bytes to the start of b and makes the room after them its
// piece.
func (a *accept) layout(b *netio.Buffer) {
	from := copy(b.B, a.raw)
	b.Pieces = append(b.Pieces[:0], b.B[from:from+firstRead])
}

// ended converts the error of a read that ends before the address is complete.
func (a *accept) ended(err error) error {
	if errors.Is(err, io.EOF) && len(a.raw) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %d, want an IV of %d and an address", core.ErrShort, len(a.raw), a.cipher.spec.IVSize)
	}
	return err
}

// parse parses all received bytes. It returns an ErrShort if the address is incomplete.
func (a *accept) parse() error {
	size := a.cipher.spec.IVSize
	if len(a.raw) < size {
		return core.ErrShort
	}
	iv, sealed := a.raw[:size], a.raw[size:]
	if !a.begun {
		var err error
		if a.keys, err = a.cipher.begin(iv, Decrypt); err != nil {
			return err
		}
		a.begun = true
	}
	n := min(len(sealed), len(a.plain))
	if err := a.keys.apply(a.plain[a.size:n], sealed[a.size:n]); err != nil {
		return err
	}
	a.size = n
	target, end, err := socksaddr.Decode(a.plain[:n])
	switch {
	case errors.Is(err, core.ErrShort):
		return err
	case err != nil: // not Authenticated: any bytes decrypt to something
		return fmt.Errorf("%w: no address: %v", core.ErrAuth, err)
	case size > 0 && !a.cipher.salts.Add(iv):
		return core.ErrReplay
	}
	payload := make([]byte, len(sealed)-end)
	rest := copy(payload, a.plain[end:n])
	if err := a.keys.apply(payload[rest:], sealed[n:]); err != nil {
		return err
	}
	a.target, a.payload = target, payload
	return a.reply()
}

// reply creates the stream. The stream sends a new IV with its first bytes. The IV counts
// as received, so that the server's reply can't be replayed to it as a request.
func (a *accept) reply() error {
	c := a.cipher
	if c.start == nil {
		a.stream = a.wire
		return nil
	}
	iv := make([]byte, c.spec.IVSize)
	keys, err := c.newKeys(iv)
	if err != nil {
		return err
	}
	if len(iv) > 0 {
		c.salts.Add(iv)
	}
	s := newConn(a.wire, c, keys, iv)
	s.reader.keys, s.reader.begun = a.keys, true
	a.stream = s
	return nil
}
