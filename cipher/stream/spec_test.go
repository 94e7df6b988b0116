package stream_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// build makes a cipher of kind from options, as a file would, and returns its
// log too.
func build(t testing.TB, kind string, o stream.Options, p *core.Process) (core.Cipher, string, error) {
	t.Helper()
	reg := new(core.Registry)
	for _, s := range stream.Specs() {
		stream.Register(reg, s)
	}
	k, ok := reg.Cipher.Lookup(kind)
	if !ok {
		t.Fatalf("no kind %s", kind)
	}
	var log bytes.Buffer
	env := core.Env{Section: core.SectionCipher, Name: "old", Process: p, Log: slog.New(slog.NewTextHandler(&log, nil))}
	var options any = &o
	if plain := stream.PlainOptions(o); k.Name == "none" {
		options = &plain
	}
	c, err := k.New(env, options)
	return c, log.String(), err
}

func TestRegister(t *testing.T) {
	o := stream.Options{Insecure: true, Password: option.Password{Password: password}}
	names := map[string]string{"plain": "none"}
	for _, s := range stream.Specs() {
		names[s.Method] = s.Method
	}
	if len(names) != 20 {
		t.Errorf("got %d names, want 20", len(names))
	}
	for name, want := range names {
		c, log, err := build(t, name, o, new(core.Process))
		if err != nil || c.Method() != want {
			t.Errorf("%s: got %v, %v, want the method %s", name, c, err, want)
			continue
		}
		if strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, `msg="insecure method" method=`+want+" ") || !strings.Contains(log, "2022") {
			t.Errorf("%s: got log %q, want one warning", name, log)
		}
	}
}

func TestOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a long file\nrest"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := option.Password{Password: "long enough, surely"}
	for _, tc := range []struct {
		name, kind string
		opts       stream.Options
		key        string // of the error, or ""
		warnings   int
	}{
		{"password", "aes-256-cfb", stream.Options{Password: long, Insecure: true}, "", 1},
		{"short", "aes-256-cfb", stream.Options{Password: option.Password{Password: "12345678901"}, Insecure: true}, "", 2},
		{"file", "rc4-md5", stream.Options{Password: option.Password{PasswordFile: file}, Insecure: true}, "", 1},
		{"not said to be insecure", "aes-256-cfb", stream.Options{Password: long}, "insecure", 0},
		{"the table too", "table", stream.Options{Password: long}, "insecure", 0},
		{"no password", "aes-256-cfb", stream.Options{Insecure: true}, "password", 0},
		{"no password for a table", "table", stream.Options{Insecure: true}, "password", 0},
		{"two", "chacha20", stream.Options{Password: option.Password{Password: "x", PasswordFile: file}, Insecure: true}, "password", 0},
		{"none", "none", stream.Options{Insecure: true}, "", 1},
		{"none with a password", "none", stream.Options{Password: long, Insecure: true}, "", 1},
		{"none, not said to be insecure", "none", stream.Options{}, "insecure", 0},
		{"none, no file", "plain", stream.Options{Password: option.Password{PasswordFile: file + "2"}, Insecure: true}, "password_file", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, log, err := build(t, tc.kind, tc.opts, new(core.Process))
			if bad, ok := errors.AsType[*core.OptionError](err); ok != (tc.key != "") || ok && bad.Key != tc.key {
				t.Errorf("got %v, want an error for the key %q", err, tc.key)
			}
			if (c != nil) != (tc.key == "") {
				t.Errorf("got cipher %v, want one: %t", c, tc.key == "")
			}
			if n := strings.Count(log, "level=WARN"); n != tc.warnings || strings.Contains(log, "12345678901") {
				t.Errorf("got %d warnings, want %d and no password; log: %s", n, tc.warnings, log)
			}
		})
	}
}

// TestInsecureText checks that the error contains the reason, the alternative and the option.
func TestInsecureText(t *testing.T) {
	for kind, why := range map[string]string{
		"aes-256-cfb": "insecure: aes-256-cfb does not authenticate: an attacker on the path can change the data and detect the server; ",
		"plain":       "insecure: none does not encrypt: an attacker on the path can read and change the data; ",
	} {
		_, _, err := build(t, kind, stream.Options{}, new(core.Process))
		if want := why + "use chacha20-ietf-poly1305 or a method of the 2022 edition, or add insecure = true"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestReload checks that a cipher that is built again refuses what the old one has received.
func TestReload(t *testing.T) {
	p, o := new(core.Process), stream.Options{Insecure: true, Password: option.Password{Password: password}}
	s := spec(t, "aes-256-ctr")
	flight := encrypted(t, s, coretest.Pattern(s.IVSize, 1), []byte{1, 192, 0, 2, 1, 0, 80, 'x'})
	for i, want := range []error{nil, core.ErrReplay} {
		c, _, err := build(t, s.Method, o, p)
		if err != nil {
			t.Fatal(err)
		}
		wire, far := coretest.LoopbackPair(t)
		if _, err := far.Write(flight); err != nil {
			t.Fatal(err)
		}
		a, err := c.AcceptStream(wire, core.Caller{Addr: someone})
		if !errors.Is(err, want) {
			t.Errorf("stream, cipher %d: got %v, want %v", i, err, want)
		}
		if err == nil {
			a.Stream.Close()
		}
		server, err := c.(core.PacketCipher).NewPacketServer()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.Open(bytes.Clone(flight), someone); !errors.Is(err, want) {
			t.Errorf("datagram, cipher %d: got %v, want %v", i, err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	cfb := spec(t, "aes-256-cfb").New
	bad := errors.New("no such operation")
	for _, tc := range []struct {
		name string
		spec stream.Spec
		key  int
		text string
	}{
		{"short key", stream.Spec{KeySize: 32, IVSize: 16, New: cfb}, 31, "key of 31 bytes, want 32"},
		{"key size", stream.Spec{KeySize: -1, New: cfb}, 0, "key size -1"},
		{"key that the cipher refuses", stream.Spec{KeySize: 20, IVSize: 16, New: cfb}, 20, "invalid key size 20"},
		{"short IV", stream.Spec{KeySize: 32, IVSize: 7, New: cfb}, 32, "IV of 7 bytes, want none or 8 to 32"},
		{"long IV", stream.Spec{KeySize: 32, IVSize: 33, New: cfb}, 32, "IV of 33 bytes, want none or 8 to 32"},
		{"IV without New", stream.Spec{IVSize: 16}, 0, "without New"},
		{"no beginning", stream.Spec{KeySize: 1, New: func([]byte) (stream.Start, error) {
			return func(_ []byte, op stream.Operation) (cipher.Stream, error) {
				if op == stream.Decrypt {
					return nil, bad
				}
				return nil, nil
			}, nil
		}}, 1, bad.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spec.Method = "mine"
			c, err := stream.New(tc.spec, make([]byte, tc.key), replay.NewSalts(1))
			if c != nil || err == nil || !strings.Contains(err.Error(), "mine: ") || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, %v, want an error with %q", c, err, tc.text)
			}
		})
	}
}

// TestThirdParty registers a method that is not among the standard ones.
func TestThirdParty(t *testing.T) {
	mine := stream.Spec{Method: "double-aes", KeySize: 32, IVSize: 16, New: func(key []byte) (stream.Start, error) {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return func(iv []byte, _ stream.Operation) (cipher.Stream, error) {
			return cipher.NewCTR(twice{block}, iv), nil
		}, nil
	}}
	conform(t, mine)
}

// twice encrypts each block twice.
type twice struct{ cipher.Block }

func (b twice) Encrypt(dst, src []byte) {
	b.Block.Encrypt(dst, src)
	b.Block.Encrypt(dst, dst)
}

// TestBare checks that a method without encryption returns the wire itself, so that the kernel
// can splice.
func TestBare(t *testing.T) {
	c := newCipher(t, spec(t, "none"))
	near, far := coretest.LoopbackPair(t)
	to := core.AddrFrom(someone)
	s, err := c.DialStream(to, []byte("hello"), func(hello []byte) (core.Stream, error) {
		_, err := near.Write(hello)
		return near, err
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.AcceptStream(far, core.Caller{Addr: someone})
	if err != nil {
		t.Fatal(err)
	}
	if netio.Bare(s) != near || netio.Bare(a.Stream) != far {
		t.Errorf("got %T and %T, want the wires", s, a.Stream)
	}
	if a.Target != to || string(a.Payload) != "hello" {
		t.Errorf("got %q for %s, want hello for %s", a.Payload, a.Target, to)
	}
}
