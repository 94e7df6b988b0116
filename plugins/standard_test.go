package plugins_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/core/config"
)

// TestKinds checks the options of all kinds that ship.
func TestKinds(t *testing.T) {
	if err := config.CheckKinds(standard()); err != nil {
		t.Error(err)
	}
}
