package aead2022

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/chunk"
	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// rule is a rule of ss2022_negative_rules in testdata/negative.json.
type rule struct{ Name, Expect string }

func rules(t testing.TB) []rule {
	t.Helper()
	var f struct {
		Rules []rule `json:"ss2022_negative_rules"`
	}
	ciphertest.ReadJSON(t, "negative.json", &f)
	if len(f.Rules) == 0 {
		t.Fatal("negative.json has no rules")
	}
	return f.Rules
}

// streamRule builds the bytes of a rule, for a client of c.
func streamRule(t *testing.T, c *Cipher, name string) []byte {
	target := addr(t, "192.0.2.1:80")
	good := append(appendAddressing(nil, target, nil), "hello"...)
	off := func(seconds int) []byte {
		return forgery{variable: good, fixed: func(n int) []byte {
			return appendRequestHeader(nil, noon.Add(time.Duration(seconds)*time.Second), n)
		}}.request(t, c)
	}
	stamped := func(stamp uint64) []byte {
		return forgery{variable: good, fixed: func(n int) []byte {
			return appendRequestHeader(nil, time.Unix(int64(stamp), 0), n)
		}}.request(t, c)
	}
	switch name {
	case "type 1 in a request":
		return forgery{variable: good, fixed: func(n int) []byte {
			b := appendRequestHeader(nil, noon, n)
			b[0] = typeServer
			return b
		}}.request(t, c)
	case "timestamp 31 s in the past":
		return off(-31)
	case "timestamp 31 s in the future":
		return off(31)
	case "timestamp 0":
		return stamped(0)
	case "timestamp 2^63":
		return stamped(1 << 63)
	case "timestamp 2^64-1":
		return stamped(math.MaxUint64)
	case "timestamp 30 s in the past":
		return off(-30)
	case "timestamp 30 s in the future":
		return off(30)
	case "no padding and no payload":
		return forgery{variable: appendAddressing(nil, target, nil)}.request(t, c)
	case "padding longer than chunk":
		b := appendAddressing(nil, target, []byte("padding"))
		return forgery{variable: b[:len(b)-1]}.request(t, c)
	case "padding exactly the rest":
		return forgery{variable: appendAddressing(nil, target, make([]byte, 900))}.request(t, c)
	case "padding 901":
		return forgery{variable: append(appendAddressing(nil, target, make([]byte, 901)), 'x')}.request(t, c)
	case "variable header length 0":
		return forgery{}.request(t, c)
	case "address cut by chunk end":
		return forgery{variable: good[:4]}.request(t, c)
	case "payload chunk 0xffff":
		return forgery{variable: good, after: func(box *chunk.Box) []byte {
			b := make([]byte, chunkHead+0xFFFF+tagSize)
			return b[:box.SealChunk(b, 0, make([]byte, 0xFFFF))]
		}}.request(t, c)
	case "zero payload chunk later in the stream":
		return forgery{variable: good, after: func(box *chunk.Box) []byte {
			b := make([]byte, chunkHead+tagSize)
			return b[:box.SealChunk(b, 0, nil)]
		}}.request(t, c)
	}
	return nil
}

// TestStreamRules checks the rules for streams; TestPacketRules checks those for datagrams,
// and the tests below check the others.
func TestStreamRules(t *testing.T) {
	elsewhere := map[string]bool{
		"same salt twice": true, "same salt, fresh header": true, "unknown identity header": true,
		"identity header missing": true, "salt+fixed header split in two TCP segments": true,
	}
	for _, r := range rules(t) {
		if strings.HasPrefix(r.Name, "udp: ") || elsewhere[r.Name] {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			each(t, func(t *testing.T, s setting) {
				c := fresh(t, s.spec, s.keys)
				at(c, noon)
				b := streamRule(t, c, r.Name)
				if b == nil {
					t.Fatal("no test makes the bytes of this rule")
				}
				switch r.Expect {
				case "accept":
					accepts(t, c, b)
				case "reject-header":
					err := refused(t, c, b)
					if !core.IsAuthenticated(err) || errors.Is(err, core.ErrClock) != strings.HasPrefix(r.Name, "timestamp") {
						t.Errorf("got %v", err)
					}
				case "reject-stream":
					a, err := c.AcceptStream(&tape{reads: b}, core.Caller{Addr: someone})
					if err != nil {
						t.Fatal(err)
					}
					defer a.Stream.Close()
					if got, err := io.ReadAll(a.Stream); len(got) > 0 || !errors.Is(err, core.ErrMalformed) {
						t.Errorf("got %d bytes, %v, want core.ErrMalformed", len(got), err)
					}
				default:
					t.Fatalf("unknown outcome %q", r.Expect)
				}
			})
		})
	}
}

// TestSaltRules sends a salt twice.
func TestSaltRules(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		c := fresh(t, s.spec, s.keys)
		at(c, noon)
		first := flight(t, c, "192.0.2.1:80", "hello")
		accepts(t, c, first)
		if err := refused(t, c, first); !errors.Is(err, core.ErrReplay) {
			t.Errorf("same salt twice: got %v, want core.ErrReplay", err)
		}
		again := forgery{salt: first[:s.spec.KeySize], variable: append(appendAddressing(nil, addr(t, "192.0.2.9:9"), nil), 'x')}
		if err := refused(t, c, again.request(t, c)); !errors.Is(err, core.ErrReplay) {
			t.Errorf("same salt, fresh header: got %v, want core.ErrReplay", err)
		}
	})
}

// TestSaltIsSpentLate sends requests with one mistake each before the valid request with the
// same salt.
func TestSaltIsSpentLate(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		c := fresh(t, s.spec, s.keys)
		at(c, noon)
		good := append(appendAddressing(nil, addr(t, "192.0.2.1:80"), nil), "hello"...)
		salt := bytes.Repeat([]byte{5}, s.spec.KeySize)
		for name, fixed := range map[string]func(int) []byte{
			"type": func(n int) []byte {
				return append([]byte{typeServer}, appendRequestHeader(nil, noon, n)[1:]...)
			},
			"time": func(n int) []byte { return appendRequestHeader(nil, noon.Add(time.Minute), n) },
		} {
			if err := refused(t, c, forgery{salt: salt, variable: good, fixed: fixed}.request(t, c)); errors.Is(err, core.ErrReplay) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		right := forgery{salt: salt, variable: good}.request(t, c)
		forged := bytes.Clone(right)
		forged[s.spec.KeySize+c.headerSize()] ^= 1 // in the fixed header
		if err := refused(t, c, forged); !errors.Is(err, core.ErrAuth) {
			t.Errorf("forged: got %v, want core.ErrAuth", err)
		}
		if n := c.salts.Len(); n != 0 {
			t.Errorf("%d salts are remembered, want none", n)
		}
		accepts(t, c, right)
		if n := c.salts.Len(); n != 1 {
			t.Errorf("%d salts are remembered, want 1", n)
		}
	})
}

// TestSegments cuts the first flight at every position: the server waits for the rest, and
// sends nothing until its deadline.
func TestSegments(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		b := flight(t, fresh(t, s.spec, s.keys), "192.0.2.1:80", "hello")
		for n := range b {
			synctest.Test(t, func(t *testing.T) {
				c := fresh(t, s.spec, s.keys)
				at(c, noon)
				b := flight(t, c, "192.0.2.1:80", "hello")
				near, far := coretest.Pipe()
				defer near.Close()
				defer far.Close()
				if err := near.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					a, err := c.AcceptStream(near, core.Caller{Addr: someone})
					if err == nil {
						a.Stream.Close()
					}
					done <- err
				}()
				for _, part := range [][]byte{b[:n], b[n:]} {
					if _, err := far.Write(part); err != nil {
						t.Fatal(err)
					}
					time.Sleep(200 * time.Millisecond)
				}
				if err := <-done; err != nil {
					t.Errorf("cut at %d: %v", n, err)
				}
			})
		}
	})
}

// TestLongFirstFlight uses first payloads of every size around the maximum.
func TestLongFirstFlight(t *testing.T) {
	for _, n := range []int{sentPayload - 9, sentPayload, 17 << 10, 0xFFFF - 9} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := of(t, aes256, encoded(psk(specOf(t, aes256), 0)))
			variable := append(appendAddressing(nil, addr(t, "192.0.2.1:80"), nil), coretest.Pattern(n, 1)...)
			_, plain := accepts(t, c, forgery{variable: variable}.request(t, c))
			if !bytes.Equal(plain, coretest.Pattern(n, 1)) {
				t.Errorf("got %d other bytes, want %d", len(plain), n)
			}
		})
	}
}
