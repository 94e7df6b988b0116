// Package siege tests the umbra program under attack: floods, bounded loads and peers that do
// not keep to the rules.
package siege

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/plugins"
)

// asUmbra makes the test binary run as umbra, so that the tested program has the race detector
// too.
const asUmbra = "UMBRA_TEST_AS_PROGRAM"

// patience is the maximum time for anything that a test waits for.
const patience = 15 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asUmbra) != "" {
		app.Main(plugins.Standard)
	}
	goleak.VerifyTestMain(m)
}

// self returns the path of the test binary, which is umbra with asUmbra set.
func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// write writes a file to a folder of the test.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
