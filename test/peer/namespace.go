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

// inNamespace, in the environment, names the test that has a network namespace of its
// own.
const inNamespace = "UMBRA_TEST_IN_NAMESPACE"

// InNamespace reports whether the test runs in a network namespace of its own, where
// the loopback interface is up and no rule of this machine can be changed. If not, it
// runs the test again in such a namespace, as a process of its own, and fails it if
// that fails; the caller returns.
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
		t.Skip("only root makes network namespaces and rules of nftables")
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

// AddAddress gives the loopback interface another address, ADDRESS or ADDRESS/BITS.
func AddAddress(t testing.TB, address string) {
	t.Helper()
	args := []string{"ip", "addr", "add", address, "dev", "lo"}
	if strings.Contains(address, ":") {
		args = append(args, "nodad") // else it can't be used for a second
	}
	Command(t, args...)
}

// Command runs a program and returns its output. The test ends if it fails.
func Command(t testing.TB, words ...string) string {
	t.Helper()
	out, err := exec.Command(Need(t, words[0]), words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", words, err, out)
	}
	return string(out)
}
