package ciphertest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// none is a minimal method: the address, then the stream without encryption.
type none struct{}

var _ core.Cipher = none{}

func (none) Method() string { return "none" }

func (none) Derive(label string, out []byte) {
	sum := sha256.Sum256([]byte(label))
	copy(out, sum[:])
}

func (none) DialStream(target core.Addr, payload []byte, dial func(hello []byte) (core.Stream, error)) (core.Stream, error) {
	const most = 64 << 10 // bytes of a hello
	hello := socksaddr.Append(nil, target)
	n := min(len(payload), most)
	wire, err := dial(append(hello, payload[:n]...))
	if err != nil {
		return nil, err
	}
	if n < len(payload) {
		if _, err := wire.Write(payload[n:]); err != nil {
			wire.Close()
			return nil, core.Sent(err)
		}
	}
	return wire, nil
}

func (none) AcceptStream(conn core.Stream, from core.Caller) (core.Accepted, error) {
	var got []byte
	for b := make([]byte, 512); ; {
		if from.Waits != nil {
			from.Waits(got)
		}
		n, err := conn.Read(b)
		got = append(got, b[:n]...)
		if n == 0 && errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: %w", core.ErrShort, err)
		}
		if n == 0 {
			return core.Accepted{Payload: got}, err
		}
		target, used, err := socksaddr.Decode(got)
		if err == nil {
			return core.Accepted{Stream: conn, Target: target, Payload: bytes.Clone(got[used:])}, nil
		}
		if !errors.Is(err, core.ErrShort) {
			return core.Accepted{Payload: got}, err
		}
	}
}

func TestRunUnauthenticated(t *testing.T) {
	ciphertest.RunUnauthenticated(t, func(testing.TB) core.Cipher { return none{} })
}
