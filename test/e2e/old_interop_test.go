package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// oldMethods are the ciphers from before AEAD that both umbra and shadowsocks-libev support.
func oldMethods() []string {
	return []string{
		"aes-128-cfb", "aes-192-cfb", "aes-256-cfb", "aes-128-ctr", "aes-192-ctr", "aes-256-ctr",
		"rc4-md5", "salsa20", "chacha20", "chacha20-ietf",
	}
}

// ownOldMethods are those that umbra supports and shadowsocks-libev does not.
func ownOldMethods() []string {
	return []string{
		"aes-128-cfb8", "aes-192-cfb8", "aes-256-cfb8", "aes-128-ofb", "aes-192-ofb", "aes-256-ofb",
		"xchacha20", "table", "none",
	}
}

// oldSizes are file sizes in bytes, one of which takes many bursts.
func oldSizes() []int { return []int{0, 1, 16384, 3_000_000} }

// TestOldLocalWithLibevServer uses umbra as the client of ss-server.
func TestOldLocalWithLibevServer(t *testing.T) {
	for _, method := range oldMethods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			proxy := umbraLocal(t, method, peer.SSServer(t, method))
			moveFiles(t, proxy, oldSizes()...)
			echoPackets(t, proxy, packetSizes()...)
		})
	}
}

// TestOldServerWithLibevLocal uses umbra as the server of ss-local.
func TestOldServerWithLibevLocal(t *testing.T) {
	for _, method := range oldMethods() {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			proxy := peer.SSLocal(t, method, umbraServer(t, method))
			moveFiles(t, proxy, oldSizes()...)
			echoPackets(t, proxy, packetSizes()...)
		})
	}
}

// TestOldBothSides uses umbra at both ends.
func TestOldBothSides(t *testing.T) {
	for _, method := range append(oldMethods(), ownOldMethods()...) {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			proxy := umbraLocal(t, method, umbraServer(t, method))
			moveFiles(t, proxy, oldSizes()...)
			echoPackets(t, proxy, append(packetSizes(), 1400, 9000, 60_000)...)
		})
	}
}

// TestOldHops uses hops with methods of both kinds, each inside the other.
func TestOldHops(t *testing.T) {
	for _, method := range []string{"aes-256-cfb", "none"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			proxy := umbraLocal(t, method, umbraServer(t, method), umbraServer(t, method), umbraServer(t, method))
			moveFiles(t, proxy, oldSizes()...)
			echoPackets(t, proxy, packetSizes()...)
		})
	}
}

// TestOldRefused starts umbra with such a method and without insecure = true.
func TestOldRefused(t *testing.T) {
	file := strings.Replace(serverFile(peer.FreePort(t), "aes-256-cfb"), "insecure = true\n", "", 1)
	cmd := exec.CommandContext(t.Context(), self(t), "run", write(t, "umbra.toml", file))
	cmd.Env = append(os.Environ(), asUmbra+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "cipher.house.insecure: aes-256-cfb does not authenticate") {
		t.Errorf("got %v and\n%s\nwant a refusal that names the key", err, out)
	}
}

// TestOldWarns checks that umbra logs a warning at each start and reload.
func TestOldWarns(t *testing.T) {
	port := peer.FreePort(t)
	umbra := run(t, serverFile(port, "rc4-md5"), port)
	reload(t, umbra, 2)
	if got := strings.Count(umbra.Output(), "insecure method cipher=house method=rc4-md5"); got != 2 {
		t.Errorf("got %d warnings, want 2:\n%s", got, umbra.Output())
	}
}
