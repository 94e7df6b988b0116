package aead2022

import (
	"bytes"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/cipher/users"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestMeasure has the offsets of clients whose requests are served and refused, and of
// servers.
func TestMeasure(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		c := fresh(t, s.spec, s.keys)
		at(c, noon)
		good := append(appendAddressing(nil, addr(t, "192.0.2.1:80"), nil), "hello"...)
		ask := func(seconds int) {
			wire := forgery{variable: good, fixed: func(n int) []byte {
				return appendRequestHeader(nil, noon.Add(time.Duration(seconds)*time.Second), n)
			}}.request(t, c)
			if a, err := c.AcceptStream(&tape{reads: wire}, core.Caller{Addr: someone}); err == nil {
				a.Stream.Close()
			}
		}
		for _, seconds := range []int{0, 1, -12, 31, -4000} {
			ask(seconds)
		}
		salt := bytes.Repeat([]byte{1}, s.spec.KeySize)
		if _, err := answers(t, c, salt, appendResponseHeader(nil, noon.Add(-22*time.Second), salt, 5)); err != nil {
			t.Fatal(err)
		}
		_, _ = c.AcceptStream(&tape{reads: make([]byte, 200)}, core.Caller{Addr: someone}) // noise has no time
		var h core.Counts
		c.Measure(func(f core.Figure) { h = f.Counts })
		want := map[float64]uint64{0: 1, 1: 2, 10: 2, 15: 3, 20: 3, 25: 4, 30: 4, 60: 5, 3600: 5}
		for i, bound := range h.Bounds {
			if n, ok := want[bound]; ok && h.AtMost[i] != n {
				t.Errorf("at most %v s: got %d, want %d", bound, h.AtMost[i], n)
			}
		}
		if h.Count != 6 || h.Sum != 0+1+12+31+4000+22 {
			t.Errorf("got %+v", h)
		}
		coretest.TestMeasurer(t, c, func() { ask(2) })
	})
}

// TestMeasureReload keeps what was counted.
func TestMeasureReload(t *testing.T) {
	env := coretest.Env(t)
	s := specOf(t, aes256)
	load := func() *Cipher {
		c, err := s.build(env, option.Password{Password: option.Text(encoded(psk(s, 0)))}, users.Options{}, replay.File{}, SessionOptions{RememberedSessions: 10})
		if err != nil {
			t.Fatal(err)
		}
		return c.(*Cipher)
	}
	load().offsets.Observe(7)
	if got := coretest.Figures(load()); got[`umbra_peer_clock_offset_seconds{cipher="test"}`] != 1 {
		t.Errorf("got %v, want one", got)
	}
}
