package core

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th throttle
		for i, step := range []struct {
			after   time.Duration
			dropped int
			ok      bool
		}{
			{0, 0, true},
			{time.Second, 0, true},
			{time.Second, 0, false},
			{7 * time.Second, 0, false},
			{time.Second, 2, true}, // ten seconds after the first
			{0, 0, true},
			{0, 0, false},
			{time.Hour, 1, true},
			{0, 0, true},
		} {
			time.Sleep(step.after)
			if dropped, ok := th.allow(2, 10*time.Second); dropped != step.dropped || ok != step.ok {
				t.Errorf("line %d: got %d, %t, want %d, %t", i, dropped, ok, step.dropped, step.ok)
			}
		}
	})
}
