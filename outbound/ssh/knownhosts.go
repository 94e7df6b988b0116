package ssh

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// maxKnownHosts is the maximum size of a file with known hosts, in bytes.
const maxKnownHosts = 16 << 20

// certificates stands for the type of any key that a known authority has signed.
const certificates = "certificate"

// knownHosts is what a file in the format of known_hosts says of one server.
type knownHosts struct {
	file   string
	server string
	verify ssh.HostKeyCallback
	types  []string // of the keys that the file has for the server
}

// readKnownHosts reads a file. Its errors name the file and the line.
func readKnownHosts(file, server string) (*knownHosts, error) {
	text, err := textfile.Read(file, maxKnownHosts)
	if err != nil {
		return nil, err
	}
	verify, err := knownhosts.New(file)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "knownhosts: "))
	}
	k := &knownHosts{file: file, server: server, verify: verify}
	lines := strings.Split(string(text), "\n")
	if unknown, ok := errors.AsType[*knownhosts.KeyError](k.ask(nobody())); ok {
		for _, want := range unknown.Want {
			t := want.Key.Type()
			if i := want.Line - 1; i < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i]), "@cert-authority") {
				t = certificates
			}
			k.types = append(k.types, t)
		}
	}
	return k, nil
}

// ask asks the library for its verdict. The server is known by its name in the options alone,
// because its address may be known to an earlier hop only.
func (k *knownHosts) ask(key ssh.PublicKey) error { return k.verify(k.server, new(net.TCPAddr), key) }

// check returns nil if the file has the key for the server.
func (k *knownHosts) check(key ssh.PublicKey) error {
	err := k.ask(key)
	if err == nil {
		return nil
	}
	if revoked, ok := errors.AsType[*knownhosts.RevokedError](err); ok {
		return fmt.Errorf("%w: the server shows the key %s, which %s:%d revokes", core.ErrAuth, fingerprint(key), revoked.Revoked.Filename, revoked.Revoked.Line)
	}
	unknown, ok := errors.AsType[*knownhosts.KeyError](err)
	switch {
	case !ok:
		return fmt.Errorf("%w: the server shows the key %s: %w", core.ErrAuth, fingerprint(key), err)
	case len(unknown.Want) == 0:
		return fmt.Errorf("%w: unknown host key: the server shows %s; if `ssh-keygen -lf` prints that for its key on the server, add this line to %s: %s",
			core.ErrAuth, fingerprint(key), k.file, knownhosts.Line([]string{k.server}, key))
	}
	var known []string
	for _, want := range unknown.Want {
		known = append(known, fmt.Sprintf("%s:%d has %s", want.Filename, want.Line, fingerprint(want.Key)))
	}
	return fmt.Errorf("%w: the host key has changed: the server shows %s, and %s; %s: then mend that line",
		core.ErrAuth, fingerprint(key), strings.Join(known, ", "), inTheMiddle)
}
