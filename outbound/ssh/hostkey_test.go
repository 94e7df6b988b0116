package ssh

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/peer"
)

// publicKey returns the public key to the private one at path.
func publicKey(t *testing.T, path string) ssh.PublicKey {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(peer.SSHPublicKey(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func parsePin(t *testing.T, text string) HostKey {
	t.Helper()
	var k HostKey
	if err := k.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return k
}

// TestHostKeys connects to OpenSSH with three keys, one of which is known.
func TestHostKeys(t *testing.T) {
	dir := t.TempDir()
	rsa, ecdsa, other, authority := filepath.Join(dir, "rsa"), filepath.Join(dir, "ecdsa"), filepath.Join(dir, "other"), filepath.Join(dir, "ca")
	for path, keyType := range map[string]string{rsa: "rsa", ecdsa: "ecdsa", other: "ed25519", authority: "ed25519"} {
		peer.SSHKey(t, path, keyType, "")
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-s", authority, "-I", "host", "-h", "-n", "127.0.0.1", rsa+".pub").CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	s := peer.SSHServer(t, "HostKey "+rsa, "HostKey "+ecdsa, "HostCertificate "+rsa+"-cert.pub")
	at := fmt.Sprintf("[127.0.0.1]:%d ", s.Port)
	line := func(path string) string { return at + peer.SSHPublicKey(t, path) }
	hashed := write(t, line(s.HostKey))
	if out, err := exec.Command("ssh-keygen", "-H", "-f", hashed).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	known := func(text string) func(*Options) { return func(o *Options) { o.KnownHosts = write(t, text) } }
	pins := func(texts ...string) func(*Options) {
		return func(o *Options) {
			o.KnownHosts = ""
			for _, text := range texts {
				o.HostKey = append(o.HostKey, parsePin(t, text))
			}
		}
	}
	print := func(path string) string { return ssh.FingerprintSHA256(publicKey(t, path)) }
	for _, tc := range []struct {
		name   string
		change func(*Options)
		texts  []string // of the refusal; none if there is none
	}{
		{"known", func(*Options) {}, nil},
		{"another type is known", known(line(rsa)), nil},
		{"hashed", func(o *Options) { o.KnownHosts = hashed }, nil},
		{"authority", known("@cert-authority " + line(authority)), nil},
		{"pinned fingerprint", pins(print(s.HostKey)), nil},
		{"pinned fingerprint of another type", pins(print(rsa)), nil},
		{"pinned keys", pins(peer.SSHPublicKey(t, other), peer.SSHPublicKey(t, ecdsa)), nil},

		{"changed", known("# mine\n" + line(other)), []string{"has changed", "shows ssh-ed25519 " + print(s.HostKey), ":2 has ssh-ed25519 " + print(other), "somebody may stand between"}},
		{"unknown", known("example.com " + peer.SSHPublicKey(t, s.HostKey)), []string{"unknown host key", "ssh-ed25519 " + print(s.HostKey), "add this line to", strings.TrimSuffix(line(s.HostKey), " test\n")}},
		{"revoked", known(line(s.HostKey) + "@revoked * " + peer.SSHPublicKey(t, s.HostKey)), []string{print(s.HostKey), ":2 revokes"}},
		{"wrong fingerprint", pins(print(other)), []string{"not the pinned one", print(s.HostKey), print(rsa), print(ecdsa), "host_key has " + print(other)}},
		{"wrong key", pins(peer.SSHPublicKey(t, other)), []string{"not the pinned one", print(s.HostKey), "host_key has " + print(other)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t, s)
			tc.change(&o)
			if tc.texts == nil {
				works(t, o)
				return
			}
			err := fails(t, o)
			for _, text := range tc.texts {
				if !errors.Is(err, core.ErrAuth) || !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, want ErrAuth and %q", err, text)
				}
			}
		})
	}
}

// A server whose key has become one of another type is refused as changed, not as broken.
func TestHostKeyType(t *testing.T) {
	s := peer.SSHServer(t)
	old := filepath.Join(t.TempDir(), "old")
	peer.SSHKey(t, old, "rsa", "")
	o := options(t, s)
	o.KnownHosts = write(t, fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, peer.SSHPublicKey(t, old)))
	if err := fails(t, o); !errors.Is(err, core.ErrAuth) || !strings.Contains(err.Error(), "has changed") || !strings.Contains(err.Error(), "has ssh-rsa SHA256:") {
		t.Errorf("got %v, want a changed key", err)
	}
}

func TestHostKeyText(t *testing.T) {
	const print = "SHA256:JJuU0VvIuaLr9RdPDPX1GWx9LQ1qMd6BfVGFKXOZ9bU"
	for _, tc := range []struct{ text, want string }{
		{print, ""},
		{" " + print + "=\n", ""},
		{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a comment", ""},
		{"SHA256:short", "no fingerprint"},
		{"MD5:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff", "give that of SHA256"},
		{"00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff", "give that of SHA256"},
		{"ssh-ed25519 AAAA", "neither a fingerprint"},
		{"", "neither a fingerprint"},
	} {
		var k HostKey
		err := k.UnmarshalText([]byte(tc.text))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %q", tc.text, err, tc.want)
		}
	}
}
