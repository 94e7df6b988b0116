// Package field tests umbra in situations of the field: real clients and servers, and what
// they do to one another through it. Each file is named for the kind of situation.
package field

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/plugins"
	"github.com/umbra-proxy/umbra/test/peer"
)

// asUmbra makes the test binary run as umbra, so that the tested program has the race detector
// too.
const asUmbra = "UMBRA_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asUmbra) != "" {
		app.Main(plugins.Standard)
	}
	goleak.VerifyTestMain(m)
}

// run starts umbra with a file and waits for its ports.
func run(t testing.TB, file string, ports ...int) *peer.Process {
	t.Helper()
	return runBy(t, nil, file, ports...)
}

// runBy is run by another program: before is that program with its arguments, which runs
// umbra.
func runBy(t testing.TB, before []string, file string, ports ...int) *peer.Process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "umbra.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, before, nil, path, ports...)
}

// runAt is run with a path, at which the test may replace the file, and variables.
func runAt(t testing.TB, path string, env []string, ports ...int) *peer.Process {
	t.Helper()
	return start(t, nil, env, path, ports...)
}

// start starts umbra with the file at path, by the program before if there is one.
func start(t testing.TB, before, env []string, path string, ports ...int) *peer.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var p *peer.Process
	t.Cleanup(func() { // runs after p has ended
		for _, line := range []string{"WARNING: DATA RACE", "panic"} {
			if p != nil && strings.Contains(p.Output(), line) {
				t.Errorf("umbra printed %q:\n%s", line, p.Output())
			}
		}
	})
	words := append(slices.Clone(before), self, "run", path)
	// Otherwise each exit takes a second with the race detector.
	p = peer.Start(t, append(env, asUmbra+"=1", "GORACE=atexit_sleep_ms=0"), words[0], words[1:]...)
	for _, port := range ports {
		p.WaitListen(t, port)
	}
	return p
}
