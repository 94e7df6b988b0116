package secretbox

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestVector opens what NaCl's own test makes (tests/secretbox.c).
func TestVector(t *testing.T) {
	key := unhex(t, "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
	nonce := unhex(t, "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
	plain := unhex(t, "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705")
	sealed := unhex(t, "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5")
	b, err := newBox(key)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Seal(nil, nonce, plain, nil); !bytes.Equal(got, sealed) {
		t.Errorf("seal: got %x, want %x", got, sealed)
	}
	if got, err := b.Open(nil, nonce, sealed, nil); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("open: got %x, %v, want %x", got, err, plain)
	}
}

// Both work where the message stands.
func TestInPlace(t *testing.T) {
	b, err := newBox(make([]byte, keySize))
	if err != nil {
		t.Fatal(err)
	}
	nonce, message := make([]byte, nonceSize), []byte("a message")
	room := append(make([]byte, 0, 64), message...)
	sealed := b.Seal(room[:0], nonce, room, nil)
	opened, err := b.Open(sealed[:0], nonce, sealed, nil)
	if err != nil || !bytes.Equal(opened, message) || &opened[0] != &room[:1][0] {
		t.Errorf("got %q, %v, want %q in the same memory", opened, err, message)
	}
}

func TestRefuses(t *testing.T) {
	if b, err := newBox(make([]byte, 31)); b != nil || err == nil {
		t.Errorf("key of 31 bytes: got %v, %v, want an error", b, err)
	}
	b, err := newBox(make([]byte, keySize))
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, nonceSize)
	sealed := b.Seal(nil, nonce, []byte("a message"), nil)
	for name, wire := range map[string][]byte{
		"nothing": nil, "short": sealed[:15], "changed": append([]byte{sealed[0] ^ 1}, sealed[1:]...),
	} {
		if got, err := b.Open(nil, nonce, wire, nil); got != nil || err == nil {
			t.Errorf("%s: got %x, %v, want an error", name, got, err)
		}
	}
	if got, err := b.Open(nil, nonce, sealed, []byte("more")); got != nil || err == nil {
		t.Errorf("additional data: got %x, %v, want an error", got, err)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
