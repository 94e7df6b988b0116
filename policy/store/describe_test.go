package store_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/policy/store"
)

func TestPlaceDescribe(t *testing.T) {
	for _, tc := range []struct {
		text, server string
		secrets      int
	}{
		{"memory", "", 0},
		{"file:/var/lib/umbra/bans", "", 0},
		{"redis://redis.example:6380", "redis.example:6380", 0},
		{"redis://redis.example", "redis.example:6379", 0},
		{"rediss://:secret@192.0.2.1:6379/1", "192.0.2.1:6379", 1},
		{"redis+sentinel://:secret@192.0.2.1,192.0.2.2:7/main", "192.0.2.1:26379192.0.2.2:7", 1},
		{"redis+cluster://a:7000,b", "a:7000b:6379", 0},
		{"unix://:secret@/run/redis.sock", "", 1},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var p store.Place
			if err := p.UnmarshalText([]byte(tc.text)); err != nil {
				t.Fatal(err)
			}
			d := p.Describe("store")
			server := ""
			for _, s := range d.Servers {
				server += s.Addr.String()
			}
			if server != tc.server || len(d.Secrets) != tc.secrets {
				t.Errorf("got server %q and secrets %q, want %q and %d", server, d.Secrets, tc.server, tc.secrets)
			}
		})
	}
}
