package aead_test

import (
	"bytes"
	"context"
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

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// build makes a cipher of kind from options, as a file would, and returns its
// log too.
func build(t testing.TB, reg *core.Registry, kind string, o aead.Options, p *core.Process) (core.Cipher, string, error) {
	t.Helper()
	k, ok := reg.Cipher.Lookup(kind)
	if !ok {
		t.Fatalf("no kind %s", kind)
	}
	var log bytes.Buffer
	env := core.Env{Section: core.SectionCipher, Name: "house", Process: p, Log: slog.New(slog.NewTextHandler(&log, nil))}
	c, err := k.New(env, &o)
	return c, log.String(), err
}

// registry returns a registry with the standard methods.
func registry() *core.Registry {
	reg := new(core.Registry)
	for _, s := range aead.Specs() {
		aead.Register(reg, s)
	}
	return reg
}

func withPassword(s string) aead.Options {
	return aead.Options{Password: option.Password{Password: option.Text(s)}}
}

func TestRegister(t *testing.T) {
	reg := registry()
	for alias, want := range map[string]string{
		"aes-128-gcm":             "aes-128-gcm",
		"aead_aes_256_gcm":        "aes-256-gcm",
		"chacha20-poly1305":       "chacha20-ietf-poly1305",
		"aead_chacha20_poly1305":  "chacha20-ietf-poly1305",
		"xchacha20-poly1305":      "xchacha20-ietf-poly1305",
		"xchacha20-ietf-poly1305": "xchacha20-ietf-poly1305",
	} {
		c, log, err := build(t, reg, alias, withPassword(password), new(core.Process))
		if err != nil {
			t.Errorf("%s: %v", alias, err)
			continue
		}
		if c.Method() != want || log != "" {
			t.Errorf("%s: got method %s and log %q, want %s and none", alias, c.Method(), log, want)
		}
	}
}

func TestOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a long file\nrest"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("UMBRA_TEST_PASSWORD", "from a long variable")
	for _, tc := range []struct {
		name string
		opts option.Password
		key  string // of the error, or ""
		warn bool
	}{
		{"password", option.Password{Password: "long enough, surely"}, "", false},
		{"twelve bytes", option.Password{Password: "123456789012"}, "", false},
		{"eleven bytes", option.Password{Password: "12345678901"}, "", true},
		{"file", option.Password{PasswordFile: file}, "", false},
		{"variable", option.Password{PasswordEnv: "UMBRA_TEST_PASSWORD"}, "", false},
		{"missing", option.Password{}, "password", false},
		{"two", option.Password{Password: "long enough, surely", PasswordFile: file}, "password", false},
		{"no file", option.Password{PasswordFile: file + "2"}, "password_file", false},
		{"no variable", option.Password{PasswordEnv: "UMBRA_TEST_NONE"}, "password_env", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, log, err := build(t, registry(), "aes-256-gcm", aead.Options{Password: tc.opts}, new(core.Process))
			if bad, ok := errors.AsType[*core.OptionError](err); ok != (tc.key != "") || ok && bad.Key != tc.key {
				t.Errorf("got %v, want an error for the key %q", err, tc.key)
			}
			if (c != nil) != (tc.key == "") {
				t.Errorf("got cipher %v, want one: %t", c, tc.key == "")
			}
			if warned := strings.Contains(log, "level=WARN"); warned != tc.warn || strings.Contains(log, "12345678901") {
				t.Errorf("got warning %t, want %t and no password; log: %s", warned, tc.warn, log)
			}
		})
	}
}

// TestRestart checks that a process with a replay_file refuses requests that an earlier
// process has received.
func TestRestart(t *testing.T) {
	o := withPassword(password)
	o.ReplayFile = filepath.Join(t.TempDir(), "replay")
	life := func() (core.Cipher, func()) {
		c, log, err := build(t, registry(), "aes-256-gcm", o, new(core.Process))
		if err != nil || log != "" {
			t.Fatalf("got %v, log %s", err, log)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.(core.Runner).Run(ctx) }()
		return c, func() { cancel(); <-done }
	}
	first, stop := life()
	flight := flightOf(t, client(t, "aes-256-gcm", 0))
	own := flightOf(t, first)
	if _, err := accept(t, first, own, someone); err != nil {
		t.Fatal(err)
	}
	stop()
	second, stop := life()
	defer stop()
	if _, err := accept(t, second, own, someone); !errors.Is(err, core.ErrReplay) {
		t.Errorf("got %v, want %v", err, core.ErrReplay)
	}
	if _, err := accept(t, second, flight, someone); !errors.Is(err, core.ErrAuth) {
		t.Errorf("another's: got %v, want %v", err, core.ErrAuth)
	}
}

// TestReload checks that a cipher that is built again refuses what the old one has
// received, and that another component does not.
func TestReload(t *testing.T) {
	p := new(core.Process)
	reg := registry()
	old, _, err := build(t, reg, "aes-256-gcm", withPassword(password), p)
	if err != nil {
		t.Fatal(err)
	}
	var flight []byte
	s, err := old.DialStream(core.AddrFrom(someone), nil, func(hello []byte) (core.Stream, error) {
		flight = bytes.Clone(hello)
		a, _ := tcpPair(t)
		return a, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	again, _, err := build(t, reg, "aes-256-gcm", withPassword(password), p)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, core.ErrReplay} {
		wire, far := tcpPair(t)
		if _, err := far.Write(flight); err != nil {
			t.Fatal(err)
		}
		a, err := []core.Cipher{old, again}[i].AcceptStream(wire, core.Caller{Addr: someone})
		if !errors.Is(err, want) {
			t.Errorf("cipher %d: got %v, want %v", i, err, want)
		}
		if err == nil {
			a.Stream.Close()
		}
	}
}

func TestNewRefuses(t *testing.T) {
	gcm := spec(t, "aes-256-gcm").New
	sized := func(nonce, tag int) func([]byte) (cipher.AEAD, error) {
		return func([]byte) (cipher.AEAD, error) { return fake{nonce, tag}, nil }
	}
	for _, tc := range []struct {
		name string
		spec aead.Spec
		key  int
		text string
	}{
		{"short key", aead.Spec{KeySize: 32, New: gcm}, 31, "key of 31 bytes, want 32"},
		{"long key", aead.Spec{KeySize: 32, New: gcm}, 33, "key of 33 bytes, want 32"},
		{"no New", aead.Spec{KeySize: 32}, 32, "no New"},
		{"no key size", aead.Spec{New: gcm}, 0, "key size 0, want 1 to 32"},
		{"salt too long", aead.Spec{KeySize: 33, New: gcm}, 33, "key size 33, want 1 to 32"},
		{"size that the AEAD refuses", aead.Spec{KeySize: 20, New: gcm}, 20, "invalid key size 20"},
		{"tag of 12 bytes", aead.Spec{KeySize: 16, New: sized(12, 12)}, 16, "tag of 12 bytes"},
		{"nonce of 25 bytes", aead.Spec{KeySize: 16, New: sized(25, 16)}, 16, "nonce of 25"},
		{"nonce that wraps around", aead.Spec{KeySize: 16, New: sized(7, 16)}, 16, "nonce of 7"},
		{"no nonce", aead.Spec{KeySize: 16, New: sized(0, 16)}, 16, "nonce of 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spec.Method = "mine"
			c, err := aead.New(tc.spec, make([]byte, tc.key), replay.NewSalts(1))
			if c != nil || err == nil || !strings.Contains(err.Error(), "mine: ") || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, %v, want an error with %q", c, err, tc.text)
			}
		})
	}
}

// An invalid Spec is reported when the program registers the method.
func TestRegisterRefuses(t *testing.T) {
	defer func() {
		if got, want := recover(), "aead: mine: key size 64, want 1 to 32"; got != want {
			t.Errorf("got the panic %v, want %s", got, want)
		}
	}()
	aead.Register(new(core.Registry), aead.Spec{Method: "mine", KeySize: 64, New: spec(t, "aes-256-gcm").New})
}

// fake is an AEAD of odd sizes.
type fake struct{ nonce, tag int }

func (f fake) NonceSize() int { return f.nonce }
func (f fake) Overhead() int  { return f.tag }

func (fake) Seal(dst, _, plain, _ []byte) []byte           { return append(dst, plain...) }
func (fake) Open(dst, _, sealed, _ []byte) ([]byte, error) { return append(dst, sealed...), nil }

// TestThirdParty registers a method with an AEAD that is not among the standard ones.
func TestThirdParty(t *testing.T) {
	mine := aead.Spec{Method: "aes-256-gcm-nonce-16", KeySize: 32, New: func(k []byte) (cipher.AEAD, error) {
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCMWithNonceSize(block, 16)
	}}
	ciphertest.Run(t, func(t testing.TB) core.Cipher {
		reg := new(core.Registry)
		aead.Register(reg, mine)
		c, _, err := build(t, reg, mine.Method, withPassword(password), new(core.Process))
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
}

func TestSpecs(t *testing.T) {
	want := map[string][2]int{ // key and nonce
		"aes-128-gcm": {16, 12}, "aes-192-gcm": {24, 12}, "aes-256-gcm": {32, 12},
		"chacha20-ietf-poly1305": {32, 12}, "xchacha20-ietf-poly1305": {32, chacha20poly1305.NonceSizeX},
	}
	got := map[string][2]int{}
	for _, s := range aead.Specs() {
		a, err := s.New(make([]byte, s.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		got[s.Method] = [2]int{s.KeySize, a.NonceSize()}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
