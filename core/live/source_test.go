package live

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/umbra-proxy/umbra/core"
)

// Once the process ends, nobody waits for a reload that never comes.
func TestApplyWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		done := make(chan error, 1)
		go func() { done <- s.Apply(t.Context(), "d", "api") }()
		synctest.Wait()
		s.Drains()
		synctest.Wait()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), core.ErrShutdown.Error()) {
				t.Errorf("got %v", err)
			}
		default:
			t.Error("still waits")
			return
		}
		if err := s.Apply(t.Context(), "d", "api"); err == nil {
			t.Error("applied at the end")
		}
	})
}
