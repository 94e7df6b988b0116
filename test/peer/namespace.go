package peer

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// inNamespace is the environment variable with the name of a test that runs in a separate network
// namespace.
const inNamespace = "UMBRA_TEST_IN_NAMESPACE"

// InNamespace reports whether the test runs in a separate network namespace, in which the loopback
// interface is up and changes of rules do not affect the machine. Otherwise it runs the test again
// in a new process in such a namespace, and fails the test if the process fails; the caller must
// return.
func InNamespace(t *testing.T) bool {
	t.Helper()
	Need(t, "nft")
	Need(t, "ip")
	unshare := Need(t, "unshare")
	if os.Getenv(inNamespace) == t.Name() {
		Command(t, "ip", "link", "set", "lo", "up")
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces and nftables rules require root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, unshare, "-n", self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1", "-test.timeout=100s")
	cmd.Env = append(os.Environ(), inNamespace+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")) {
		t.Errorf("in the namespace: %v\n%s", err, out)
	}
	return false
}

// AddAddress adds an address to the loopback interface, ADDRESS or ADDRESS/BITS.
func AddAddress(t testing.TB, address string) {
	t.Helper()
	args := []string{"ip", "addr", "add", address, "dev", "lo"}
	if strings.Contains(address, ":") {
		args = append(args, "nodad") // otherwise it can't be used for a second
	}
	Command(t, args...)
}

// Command runs a program and returns its output. If the program fails, the test fails.
func Command(t testing.TB, words ...string) string {
	t.Helper()
	out, err := exec.Command(Need(t, words[0]), words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", words, err, out)
	}
	return string(out)
}
