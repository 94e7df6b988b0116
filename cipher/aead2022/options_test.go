package aead2022

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// registry returns a registry with the methods.
func registry() *core.Registry {
	reg := new(core.Registry)
	for _, s := range Specs() {
		Register(reg, s)
	}
	return reg
}

// build makes a cipher of a kind, as a file would.
func build(t testing.TB, kind string, p option.Password, who map[string]option.Text, process *core.Process) (*Cipher, error) {
	t.Helper()
	k, ok := registry().Cipher.Lookup(kind)
	if !ok {
		t.Fatalf("no kind %s", kind)
	}
	var o any
	switch k.Options {
	case reflect.TypeFor[Options16]():
		o = &Options16{Password: p, Options: users.Options{Users: who}}
	case reflect.TypeFor[Options32]():
		o = &Options32{Password: p, Options: users.Options{Users: who}}
	default:
		o = &OptionsPlain{Password: p}
	}
	var log bytes.Buffer
	env := core.Env{Section: core.SectionCipher, Name: "house", Process: process, Log: slog.New(slog.NewTextHandler(&log, nil))}
	c, err := k.New(env, o)
	if log.Len() > 0 {
		t.Errorf("got the log %s, want none", log.String())
	}
	if err != nil {
		return nil, err
	}
	return c.(*Cipher), nil
}

func password(psks ...[]byte) option.Password {
	return option.Password{Password: option.Text(encoded(psks...))}
}

// TestRegister checks the names of the methods, and that `umbra keygen` gets the size of
// their keys.
func TestRegister(t *testing.T) {
	for kind, size := range map[string]string{aes128: "16", aes256: "32", chacha: "32"} {
		c, err := build(t, kind, password(psk(specOf(t, kind), 0)), nil, new(core.Process))
		if err != nil || c.Method() != kind {
			t.Errorf("%s: got %v", kind, err)
			continue
		}
		info, _ := registry().Cipher.Describe(kind)
		about, _ := info.Options.FieldByName("_")
		if got := about.Tag.Get("key"); got != size || about.Tag.Get("help") == "" {
			t.Errorf("%s: got key size %q, help %q, want %s", kind, got, about.Tag.Get("help"), size)
		}
	}
}

func TestOptions(t *testing.T) {
	s := specOf(t, aes128)
	text := func(i int) option.Text { return option.Text(encoded(psk(s, i))) }
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(text(0).Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("UMBRA_TEST_PSK", "no key")
	for _, tc := range []struct {
		name     string
		password option.Password
		users    map[string]option.Text
		key      string // of the error, or ""
		text     string
	}{
		{"key", password(psk(s, 0)), nil, "", ""},
		{"file", option.Password{PasswordFile: file}, nil, "", ""},
		{"users", password(psk(s, 0)), map[string]option.Text{"a": text(1), "b": text(2)}, "", ""},
		{"both roles", password(psk(s, 0), psk(s, 1)), map[string]option.Text{"a": text(1)}, "", ""},
		{"missing", option.Password{}, nil, "password", "missing"},
		{"bad key", option.Password{Password: "short"}, nil, "password", "umbra keygen " + aes128},
		{"bad variable", option.Password{PasswordEnv: "UMBRA_TEST_PSK"}, nil, "password_env", "bytes in standard base64"},
		{"no users", password(psk(s, 0)), map[string]option.Text{}, "users", "no users in this table"},
		{"bad user", password(psk(s, 0)), map[string]option.Text{"a": text(1), "bob": "x"}, "users", `user "bob": invalid key: want `},
		{"two users in one", password(psk(s, 0)), map[string]option.Text{"bob": text(0) + ":" + text(1)}, "users", `user "bob": invalid key`},
		{"same key", password(psk(s, 0)), map[string]option.Text{"a": text(1), "b": text(1)}, "users", "have the same key"},
		{"identity key", password(psk(s, 0)), map[string]option.Text{"a": text(0)}, "users", "is the identity key"},
		{"two identities", password(psk(s, 0), psk(s, 1), psk(s, 2)), map[string]option.Text{"a": text(3)}, "users", "more than one identity key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := build(t, aes128, tc.password, tc.users, new(core.Process))
			bad, ok := errors.AsType[*core.OptionError](err)
			if ok != (tc.key != "") || ok && (bad.Key != tc.key || !strings.Contains(err.Error(), tc.text)) {
				t.Fatalf("got %v, want an error for %q with %q", err, tc.key, tc.text)
			}
			if (c != nil) != (tc.key == "") {
				t.Errorf("got cipher %v and error %v", c, err)
			}
			if err != nil && (strings.Contains(err.Error(), text(0).Reveal()) || strings.Contains(err.Error(), text(1).Reveal())) {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
}

// TestReload builds a table again: requests that the old cipher received are refused, and its
// sessions continue, even if the users change.
func TestReload(t *testing.T) {
	s := specOf(t, aes128)
	users := map[string]option.Text{"alice": option.Text(encoded(psk(s, 1)))}
	process := new(core.Process)
	alice := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 1)}})
	p, b := clientOf(t, alice), flight(t, alice, "192.0.2.1:80", "x")
	old, err := build(t, aes128, password(psk(s, 0)), users, process)
	if err != nil {
		t.Fatal(err)
	}
	accepts(t, old, b)
	wire := sealed(t, p, "x")
	session := opens(t, serverOf(t, old), wire).Session

	users["bob"] = option.Text(encoded(psk(s, 2)))
	again, err := build(t, aes128, password(psk(s, 0)), users, process)
	if err != nil {
		t.Fatal(err)
	}
	if err := refused(t, again, b); !errors.Is(err, core.ErrReplay) {
		t.Errorf("request after a reload: got %v, want core.ErrReplay", err)
	}
	drops(t, "datagram after a reload", serverOf(t, again), wire, core.ErrReplay)
	if next := opens(t, serverOf(t, again), sealed(t, p, "y")).Session; next != session {
		t.Error("a reload began another session")
	}

	other, err := build(t, aes128, password(psk(s, 5)), users, process)
	if err != nil {
		t.Fatal(err)
	}
	if other.sessions == again.sessions {
		t.Error("another key has the same sessions")
	}
	if other.salts != again.salts {
		t.Error("another key has forgotten the salts")
	}
	if fresh, err := build(t, aes256, password(psk(specOf(t, aes256), 0)), nil, process); err != nil || fresh.sessions == other.sessions {
		t.Errorf("another method has the same sessions, %v", err)
	}
}

func TestNewRefusesSpecs(t *testing.T) {
	sized := func(nonce, tag int) func([]byte) (cipher.AEAD, error) {
		return func([]byte) (cipher.AEAD, error) { return fakeAEAD{nonce, tag}, nil }
	}
	for _, tc := range []struct {
		name string
		spec Spec
		text string
	}{
		{"key of 24 bytes", Spec{KeySize: 24, New: newGCM, Block: aes.NewCipher}, "key size 24, want 16 or 32"},
		{"neither form", Spec{KeySize: 32, New: newGCM}, "want either Block or Long"},
		{"both forms", Spec{KeySize: 32, New: newGCM, Block: aes.NewCipher, Long: chacha20poly1305.NewX}, "want either Block or Long"},
		{"long nonce", Spec{KeySize: 32, New: chacha20poly1305.NewX, Block: aes.NewCipher}, "nonce of 24, want 16 and 12"},
		{"short tag", Spec{KeySize: 32, New: sized(12, 12), Block: aes.NewCipher}, "tag of 12 bytes"},
		{"short nonce", Spec{KeySize: 32, New: newGCM, Long: newGCM}, "nonce of 12, want 16 and 24"},
		{"size that the AEAD refuses", Spec{KeySize: 16, New: chacha20poly1305.New, Block: aes.NewCipher}, "bad key length"},
		{"other blocks", Spec{KeySize: 16, New: newGCM, Block: func([]byte) (cipher.Block, error) { return fakeBlock{}, nil }}, "blocks of 8 bytes, want 16"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spec.Method = "mine"
			c, err := New(tc.spec, Keys{PSKs: [][]byte{make([]byte, tc.spec.KeySize)}}, NewSalts())
			if c != nil || err == nil || !strings.HasPrefix(err.Error(), "mine: ") || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, %v, want an error with %q", c, err, tc.text)
			}
		})
	}
}

// fakeAEAD is an AEAD of odd sizes.
type fakeAEAD struct{ nonce, tag int }

func (f fakeAEAD) NonceSize() int { return f.nonce }
func (f fakeAEAD) Overhead() int  { return f.tag }

func (fakeAEAD) Seal(dst, _, plain, _ []byte) []byte           { return append(dst, plain...) }
func (fakeAEAD) Open(dst, _, sealed, _ []byte) ([]byte, error) { return append(dst, sealed...), nil }

// fakeBlock is a block cipher of an odd size.
type fakeBlock struct{}

func (fakeBlock) BlockSize() int        { return 8 }
func (fakeBlock) Encrypt(dst, b []byte) { copy(dst, b) }
func (fakeBlock) Decrypt(dst, b []byte) { copy(dst, b) }
