package aead2022

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
)

// TestReplayLife replays a request at every time at which its timestamp could be valid, and
// later. Other requests in between trigger the removal of old salts. Both clocks advance
// together.
func TestReplayLife(t *testing.T) {
	fraction := 999 * time.Millisecond // of the second in which the request comes
	for _, ahead := range []int{-30, -1, 0, 1, 29, 30} {
		for _, began := range []time.Duration{0, 1, fraction} {
			t.Run(fmt.Sprintf("clock %+d s, at %s", ahead, began), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(began)
					start := time.Now()
					s := specOf(t, aes128)
					client, server := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}}), fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}})
					client.now = func() time.Time { return time.Now().Add(time.Duration(ahead) * time.Second) }
					b := flight(t, client, "192.0.2.1:80", "hello")
					client.now = time.Now
					accepts(t, server, b)
					for _, after := range []time.Duration{
						0, time.Second, 29999 * time.Millisecond, 30 * time.Second, 31 * time.Second, 59900 * time.Millisecond,
						60 * time.Second, 60010 * time.Millisecond, 60500 * time.Millisecond, 60999 * time.Millisecond,
						61 * time.Second, 62 * time.Second, 65 * time.Second, 80 * time.Second, 10 * time.Minute,
					} {
						time.Sleep(time.Until(start.Add(after)))
						accepts(t, server, flight(t, client, "192.0.2.1:80", "another"))
						err := refused(t, server, b)
						if !errors.Is(err, core.ErrReplay) && !errors.Is(err, core.ErrClock) {
							t.Errorf("after %s: got %v", after, err)
						}
						if errors.Is(err, core.ErrClock) && after < 30*time.Second && ahead >= 0 {
							t.Errorf("after %s: got %v, want core.ErrReplay", after, err)
						}
					}
				})
			})
		}
	}
}

// TestSaltIsKept checks that a salt is remembered for 65 s by the monotonic clock, although
// the timestamp of its request is old.
func TestSaltIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := specOf(t, aes128)
		c := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}})
		c.now = func() time.Time { return time.Now().Add(-30 * time.Second) }
		b := flight(t, c, "192.0.2.1:80", "hello")
		c.now = time.Now
		accepts(t, c, b)
		time.Sleep(65*time.Second - 1)
		if now := time.Now(); c.salts.Add(b[:s.KeySize], now, now) {
			t.Error("the salt was forgotten")
		}
	})
}

// TestReplayEverySecond sends one request per second for five minutes, and replays all of
// them. The number of remembered salts stays bounded.
func TestReplayEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := specOf(t, chacha)
		c := fresh(t, s, Keys{PSKs: [][]byte{psk(s, 0)}})
		var sent [][]byte
		for range 300 {
			b := flight(t, c, "192.0.2.1:80", "x")
			accepts(t, c, b)
			sent = append(sent, b)
			for _, old := range sent[max(0, len(sent)-70):] {
				refused(t, c, old)
			}
			if n := c.salts.Len(); n > 80 {
				t.Fatalf("%d salts are remembered after %d s", n, len(sent))
			}
			time.Sleep(time.Second)
		}
	})
}

// TestReplayByWallClock uses a set without a minimum time, as if the wall clock had been set
// back constantly: salts of valid requests are remembered.
func TestReplayByWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := specOf(t, aes128)
		k := Keys{PSKs: [][]byte{psk(s, 0)}}
		server, err := New(s, k, replay.NewTimed(0))
		if err != nil {
			t.Fatal(err)
		}
		client := fresh(t, s, k)
		client.now = func() time.Time { return time.Now().Add(30 * time.Second) }
		b := flight(t, client, "192.0.2.1:80", "hello")
		client.now = time.Now
		accepts(t, server, b)
		for range 700 {
			time.Sleep(100 * time.Millisecond)
			accepts(t, server, flight(t, client, "192.0.2.1:80", "another"))
			refused(t, server, b)
		}
		if n := server.salts.Len(); n > 400 {
			t.Errorf("%d salts are remembered, want those of about 32 s", n)
		}
	})
}
