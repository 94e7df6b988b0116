package aead2022

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	aes128 = "2022-blake3-aes-128-gcm"
	aes256 = "2022-blake3-aes-256-gcm"
	chacha = "2022-blake3-chacha20-poly1305"
)

// someone is the client of requests.
var someone = netip.MustParseAddrPort("192.0.2.7:4711")

// specOf returns the Spec of a method.
func specOf(t testing.TB, method string) Spec {
	t.Helper()
	all := Specs()
	i := slices.IndexFunc(all, func(s Spec) bool { return s.Method == method })
	if i < 0 {
		t.Fatalf("no method %s", method)
	}
	return all[i]
}

// psk returns the i-th key of the size of a method.
func psk(s Spec, i int) []byte {
	b := make([]byte, s.KeySize)
	for n := range b {
		b[n] = byte(17*i + n)
	}
	return b
}

// fresh returns a cipher that has not received anything.
func fresh(t testing.TB, s Spec, k Keys) *Cipher {
	t.Helper()
	c, err := New(s, k, NewSalts())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// of returns a cipher with the keys of a password in the format of files.
func of(t testing.TB, method, password string, users ...User) *Cipher {
	t.Helper()
	s := specOf(t, method)
	psks, err := ParsePassword(s, option.Text(password))
	if err != nil {
		t.Fatal(err)
	}
	return fresh(t, s, Keys{PSKs: psks, Users: users})
}

// encoded joins keys as a password.
func encoded(psks ...[]byte) string {
	var texts []string
	for _, psk := range psks {
		texts = append(texts, base64.StdEncoding.EncodeToString(psk))
	}
	return strings.Join(texts, ":")
}

// setting is a method with one configuration of keys.
type setting struct {
	name string
	spec Spec
	keys Keys
}

// settings are all methods with one key, and, if they have identity headers, with users. The
// keys are valid for a client and a server.
func settings() []setting {
	var all []setting
	for _, s := range Specs() {
		all = append(all, setting{s.Method, s, Keys{PSKs: [][]byte{psk(s, 0)}}})
		if s.Block == nil {
			continue
		}
		users := []User{{Name: "alice", PSK: psk(s, 2)}, {Name: "bob", PSK: psk(s, 1)}}
		all = append(all,
			setting{s.Method + ", one identity", s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 1)}}},
			setting{s.Method + ", users", s, Keys{PSKs: [][]byte{psk(s, 0), psk(s, 1)}, Users: users}},
		)
	}
	return all
}

// each runs a test for each setting.
func each(t *testing.T, run func(t *testing.T, s setting)) {
	for _, s := range settings() {
		t.Run(s.name, func(t *testing.T) { run(t, s) })
	}
}

// at makes the clock of c stand still.
func at(c *Cipher, when time.Time) { c.now = func() time.Time { return when } }

// noon is the time of clocks that stand still.
var noon = time.Unix(1767225600, 0)

func addr(t testing.TB, text string) core.Addr {
	t.Helper()
	a, err := core.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
