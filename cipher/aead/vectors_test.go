package aead_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// streamVector is a stream of testdata/aead_tcp.json.
type streamVector struct {
	Name, Method string
	Password     string
	Key          ciphertest.Hex
	Salt         ciphertest.Hex
	Subkey       ciphertest.Hex
	Chunks       []struct {
		LengthNonce  ciphertest.Hex `json:"length_nonce"`
		LengthCT     ciphertest.Hex `json:"length_ct"`
		PayloadNonce ciphertest.Hex `json:"payload_nonce"`
		Payload      ciphertest.Hex `json:"payload_pt"` // missing for the largest chunk
		Size         int            `json:"payload_pt_len"`
		Hash         ciphertest.Hex `json:"payload_pt_sha256"`
	}
	Stream     ciphertest.Hex
	StreamHash ciphertest.Hex `json:"stream_sha256"`
}

func streamVectors(t testing.TB) []streamVector {
	t.Helper()
	return ciphertest.ReadVectors[streamVector](t, "aead_tcp.json")
}

// spec returns the Spec of a method.
func spec(t testing.TB, method string) aead.Spec {
	t.Helper()
	all := aead.Specs()
	i := slices.IndexFunc(all, func(s aead.Spec) bool { return s.Method == method })
	if i < 0 {
		t.Fatalf("no method %s", method)
	}
	return all[i]
}

// payloads returns the plaintext of each chunk.
func (v streamVector) payloads(t *testing.T) [][]byte {
	t.Helper()
	var all [][]byte
	for i, c := range v.Chunks {
		p := []byte(c.Payload)
		if len(p) != c.Size {
			p = make([]byte, c.Size) // payload_rule
			h := sha3.NewSHAKE256()
			_, _ = h.Write([]byte("max chunk"))
			_, _ = h.Read(p)
		}
		if hash := sha256.Sum256(p); !bytes.Equal(hash[:], c.Hash) {
			t.Fatalf("payload of chunk %d is not the one that was stored", i)
		}
		all = append(all, p)
	}
	return all
}

// seal makes the stream of the vector with the code under test.
func (v streamVector) seal(t *testing.T, payloads [][]byte) []byte {
	t.Helper()
	s := spec(t, v.Method)
	k := key.FromPassword(v.Password, s.KeySize)
	if !bytes.Equal(k, v.Key) {
		t.Errorf("got key %x, want %x", k, v.Key)
	}
	subkey := key.Session(k, v.Salt)
	if !bytes.Equal(subkey, v.Subkey) {
		t.Fatalf("got subkey %x, want %x", subkey, v.Subkey)
	}
	sealer, err := s.New(subkey)
	if err != nil {
		t.Fatal(err)
	}
	box := chunk.NewBox(sealer)
	stream := bytes.Clone(v.Salt)
	for i, p := range payloads {
		at := len(stream)
		stream = box.Seal(stream, binary.BigEndian.AppendUint16(nil, uint16(len(p))))
		if !bytes.Equal(stream[at:], v.Chunks[i].LengthCT) {
			t.Errorf("length of chunk %d: got %x, want %x", i, stream[at:], v.Chunks[i].LengthCT)
		}
		stream = box.Seal(stream, p)
	}
	return stream
}

func TestStreamVectors(t *testing.T) {
	for _, v := range streamVectors(t) {
		t.Run(v.Method+", "+v.Name, func(t *testing.T) {
			payloads := v.payloads(t)
			stream := v.seal(t, payloads)
			if hash := sha256.Sum256(stream); !bytes.Equal(hash[:], v.StreamHash) {
				t.Fatal("sealing made another stream than the stored one")
			}
			if v.Stream != nil && !bytes.Equal(stream, v.Stream) {
				t.Fatalf("got %x, want %x", stream, v.Stream)
			}
			plain := slices.Concat(payloads...)
			target, n, err := socksaddr.Decode(plain)
			if err != nil {
				t.Fatal(err)
			}
			wire, far := tcpPair(t)
			if _, err := far.Write(stream); err != nil { // it fits the socket's buffer
				t.Fatal(err)
			}
			if err := far.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			a, err := newCipher(t, spec(t, v.Method)).AcceptStream(wire, core.Caller{Addr: someone})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Stream.Close()
			got := bytes.Clone(a.Payload)
			rest, err := io.ReadAll(a.Stream)
			if got = append(got, rest...); a.Target != target || !bytes.Equal(got, plain[n:]) || err != nil {
				t.Errorf("got %s, %d bytes, %v, want %s, %d", a.Target, len(got), err, target, len(plain)-n)
			}
		})
	}
}
