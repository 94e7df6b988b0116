package socksaddr_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// addrVectors is testdata/socks_address.json.
type addrVectors struct {
	Valid []struct {
		Host  string
		Port  uint16
		Bytes string // hex
		Type  byte   `json:"atyp"`
	}
	Invalid []struct {
		Bytes string // hex
		Why   string
	}
}

func readAddrVectors(t testing.TB) (v addrVectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/socks_address.json")
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Valid) == 0 || len(v.Invalid) == 0 {
		t.Fatal("socks_address.json has no vectors")
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAddrVectors(t *testing.T) {
	v := readAddrVectors(t)
	for _, tc := range v.Valid {
		t.Run(tc.Host, func(t *testing.T) {
			wire := unhex(t, tc.Bytes)
			want, err := core.NewAddr(tc.Host, tc.Port)
			if err != nil {
				t.Fatal(err)
			}
			got, n, err := socksaddr.Decode(append(wire, "payload"...))
			if got != want || n != len(wire) || err != nil {
				t.Errorf("decode: got %v, %d, %v, want %v, %d", got, n, err, want, len(wire))
			}
			out := socksaddr.Append([]byte("before"), want)
			canonical := want.Name() != "" && tc.Type == 3 || want.IP().Is4() && tc.Type == 1 || want.IP().Is6() && tc.Type == 4
			if canonical && !bytes.Equal(out, append([]byte("before"), wire...)) {
				t.Errorf("append: got %x, want %s behind what was there", out, tc.Bytes)
			}
			if again, _, err := socksaddr.Decode(out[len("before"):]); again != want || err != nil {
				t.Errorf("decode what was appended: got %v, %v, want %v", again, err, want)
			}
			for cut := range wire {
				if _, _, err := socksaddr.Decode(wire[:cut]); !errors.Is(err, core.ErrShort) {
					t.Errorf("cut after %d bytes: got %v, want ErrShort", cut, err)
				}
			}
		})
	}
	for _, tc := range v.Invalid {
		t.Run(tc.Why, func(t *testing.T) {
			got, n, err := socksaddr.Decode(unhex(t, tc.Bytes))
			if err == nil || got.IsValid() {
				t.Errorf("%s: got %v, %d, %v, want an error", tc.Bytes, got, n, err)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, tc := range []struct {
		name string
		wire string
		want string
		n    int
		err  error
	}{
		{"ipv4", "\x01\xc0\x00\x02\x01\x00\x50", "192.0.2.1:80", 7, nil},
		{"mapped ipv4", "\x04" + strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x01\x00\x50", "192.0.2.1:80", 19, nil},
		{"port 0", "\x01\xc0\x00\x02\x01\x00\x00", "192.0.2.1:0", 7, nil},
		{"ipv4 as a name", "\x03\x09127.0.0.1\x00\x50", "127.0.0.1:80", 13, nil},
		{"ipv6 as a name", "\x03\x03::1\x00\x50", "[::1]:80", 7, nil},
		{"mapped ipv4 as a name", "\x03\x10::ffff:127.0.0.1\x00\x50", "127.0.0.1:80", 20, nil},
		{"old form stays a name", "\x03\x05127.1\x00\x50", "127.1:80", 9, nil},
		{"longest name with its dot", "\x03\xfe" + coretest.Name(253) + ".\x00\x50", coretest.Name(253) + ".:80", 258, nil},

		{"empty name, at once", "\x03\x00", "", 0, core.ErrMalformed},
		{"type 0x10", "\x10", "", 0, core.ErrAddrType},
		{"type 0x13", "\x13\x01a\x00\x50", "", 0, core.ErrAddrType},
		{"type 0x14", "\x14", "", 0, core.ErrAddrType},
		{"type 0xff", "\xff", "", 0, core.ErrAddrType},
		{"NUL in a name", "\x03\x03a\x00b\x00\x50", "", 0, core.ErrMalformed},
		{"line break in a name", "\x03\x04a\r\nb\x00\x50", "", 0, core.ErrMalformed},
		{"UTF-8 name", "\x03\x03\xc3\xbcx\x00\x50", "", 0, core.ErrMalformed},
		{"brackets", "\x03\x05[::1]\x00\x50", "", 0, core.ErrMalformed},
		{"zone", "\x03\x0bfe80::1%lo0\x00\x50", "", 0, core.ErrMalformed},
		{"name of 255 bytes", "\x03\xff" + strings.Repeat(label+".", 3) + label + "\x00\x50", "", 0, core.ErrMalformed},
		{"name of 255 dots", "\x03\xff" + strings.Repeat(".", 255) + "\x00\x50", "", 0, core.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, n, err := socksaddr.Decode([]byte(tc.wire))
			if !errors.Is(err, tc.err) {
				t.Fatalf("got %v, %v, want error %v", got, err, tc.err)
			}
			if err == nil && (got.String() != tc.want || n != tc.n) {
				t.Errorf("got %v, %d, want %s, %d", got, n, tc.want, tc.n)
			}
		})
	}
	if !errors.Is(core.ErrAddrType, core.ErrMalformed) {
		t.Error("ErrAddrType is no ErrMalformed")
	}
}

func TestMaxAddrLen(t *testing.T) {
	longest, err := core.NewAddr(coretest.Name(core.MaxName)+".", 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(socksaddr.Append(nil, longest)); n > socksaddr.MaxLen {
		t.Errorf("got %d bytes, want %d at most", n, socksaddr.MaxLen)
	}
}

// Decode's result must not change with what the buffer holds next.
func TestDecodeKeepsNothing(t *testing.T) {
	wire := []byte("\x03\x0bexample.com\x01\xbb")
	got, _, err := socksaddr.Decode(wire)
	clear(wire)
	if got.String() != "example.com:443" || err != nil {
		t.Errorf("got %v, %v, want example.com:443", got, err)
	}
}

// FuzzDecode checks that what decodes is a sound target that encodes to the
// same target, and that a longer input never changes the result.
func FuzzDecode(f *testing.F) {
	v := readAddrVectors(f)
	for _, tc := range v.Valid {
		f.Add(unhex(f, tc.Bytes))
	}
	for _, tc := range v.Invalid {
		f.Add(unhex(f, tc.Bytes))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		a, n, err := socksaddr.Decode(wire)
		if err != nil {
			if a.IsValid() {
				t.Errorf("got %v beside the error %v", a, err)
			}
			if !errors.Is(err, core.ErrShort) && !errors.Is(err, core.ErrMalformed) {
				t.Errorf("got %v, want ErrShort or ErrMalformed", err)
			}
			if errors.Is(err, core.ErrShort) && len(wire) >= socksaddr.MaxLen {
				t.Errorf("got ErrShort for %d bytes", len(wire))
			}
			return
		}
		if !a.IsValid() || n < 1+1+1+2 || n > len(wire) || n > socksaddr.MaxLen {
			t.Fatalf("got %v of %d bytes from %d", a, n, len(wire))
		}
		if ip := a.IP(); ip.Is4In6() || ip.Zone() != "" || ip.IsValid() == (a.Name() != "") {
			t.Errorf("got IP %v, name %q", ip, a.Name())
		}
		if b, m, err := socksaddr.Decode(socksaddr.Append(nil, a)); b != a || err != nil || m > socksaddr.MaxLen {
			t.Errorf("encoded and decoded: got %v, %v, want %v", b, err, a)
		}
		if b, m, err := socksaddr.Decode(wire[:n:n]); b != a || m != n || err != nil {
			t.Errorf("without what follows: got %v, %d, %v, want %v, %d", b, m, err, a, n)
		}
		if b, err := core.ParseAddr(a.String()); b != a || err != nil {
			t.Errorf("as text: got %v, %v, want %v", b, err, a)
		}
	})
}
