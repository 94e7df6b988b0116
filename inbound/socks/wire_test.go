package socks

import (
	"errors"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

func TestParseGreeting(t *testing.T) {
	for _, tc := range []struct {
		name string
		wire string
		want string
		n    int
		err  error
	}{
		{"one method", "\x05\x01\x00", "\x00", 3, nil},
		{"bytes behind", "\x05\x01\x00\x05\x01", "\x00", 3, nil},
		{"no methods", "\x05\x00", "", 2, nil},
		{"empty", "", "", 0, core.ErrShort},
		{"no count", "\x05", "", 0, core.ErrShort},
		{"cut", "\x05\x02\x00", "", 0, core.ErrShort},
		{"version", "\x04", "", 0, core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, n, err := parseGreeting([]byte(tc.wire))
			if string(got) != tc.want || n != tc.n || !errors.Is(err, tc.err) {
				t.Errorf("got %x, %d, %v, want %x, %d, %v", got, n, err, tc.want, tc.n, tc.err)
			}
		})
	}
}

func TestParseLogin(t *testing.T) {
	long := strings.Repeat("p", 255)
	for _, tc := range []struct {
		name       string
		wire       string
		user, word string
		n          int
		err        error
	}{
		{"short", "\x01\x01a\x01b", "a", "b", 5, nil},
		{"bytes behind", "\x01\x01a\x01bc", "a", "b", 5, nil},
		{"empty password", "\x01\x01a\x00", "a", "", 4, nil},
		{"longest", "\x01\xff" + long + "\xff" + long, long, long, maxMessage, nil},
		{"empty", "", "", "", 0, core.ErrShort},
		{"no password length", "\x01\x01a", "", "", 0, core.ErrShort},
		{"password cut", "\x01\x01a\x02b", "", "", 0, core.ErrShort},
		{"version", "\x05", "", "", 0, core.ErrMalformed},
		{"empty name", "\x01\x00", "", "", 0, core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, n, err := parseLogin([]byte(tc.wire))
			if string(got.name) != tc.user || string(got.password) != tc.word || n != tc.n || !errors.Is(err, tc.err) {
				t.Errorf("got %q, %q, %d, %v, want %q, %q, %d, %v", got.name, got.password, n, err, tc.user, tc.word, tc.n, tc.err)
			}
		})
	}
}

func TestParseRequest(t *testing.T) {
	for _, tc := range []struct {
		name   string
		wire   string
		cmd    byte
		target string
		n      int
		err    error
	}{
		{"connect", toIPv4, 1, "192.0.2.7:80", 10, nil},
		{"bytes behind", toName + "x", 1, "example.com:443", 18, nil},
		{"associate with nothing", "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", 3, "0.0.0.0:0", 10, nil},
		{"empty", "", 0, "", 0, core.ErrShort},
		{"no address", "\x05\x01\x00", 0, "", 0, core.ErrShort},
		{"address cut", toIPv4[:9], 0, "", 0, core.ErrShort},
		{"version", "\x04", 0, "", 0, core.ErrMalformed},
		{"address type", "\x05\x01\x00\x05", 0, "", 0, core.ErrAddrType},
		{"empty name", "\x05\x01\x00\x03\x00", 0, "", 0, core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, n, err := parseRequest([]byte(tc.wire))
			if !errors.Is(err, tc.err) || n != tc.n {
				t.Fatalf("got %d bytes, %v, want %d, %v", n, err, tc.n, tc.err)
			}
			if err == nil && (got.cmd != tc.cmd || got.target.String() != tc.target) {
				t.Errorf("got command %d, target %s, want %d, %s", got.cmd, got.target, tc.cmd, tc.target)
			}
		})
	}
}

func TestAppendReply(t *testing.T) {
	got := string(appendReply([]byte("x"), socksaddr.RepExpired))
	if want := "x\x05\x06\x00\x01\x00\x00\x00\x00\x00\x00"; got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}
