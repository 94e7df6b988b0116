package ssh

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/umbra-proxy/umbra/core"
)

// HostKey is an option: a key of the server, or its fingerprint.
type HostKey struct {
	fingerprint string
	key         ssh.PublicKey // nil if only the fingerprint is known
}

// HostKeys is a list of them, any of which will do.
type HostKeys []HostKey

// TakesOne says that a file may give one in place of the list.
func (HostKeys) TakesOne() {}

// UnmarshalText reads "SHA256:…", as ssh-keygen -l prints it, or a line of a .pub file.
func (k *HostKey) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if hash, ok := strings.CutPrefix(s, "SHA256:"); ok {
		sum, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(hash, "="))
		if err != nil || len(sum) != 32 {
			return fmt.Errorf("%.80q is no fingerprint; want SHA256: and 43 characters, as ssh-keygen -l prints it", s)
		}
		*k = HostKey{fingerprint: "SHA256:" + base64.RawStdEncoding.EncodeToString(sum)}
		return nil
	}
	if strings.HasPrefix(s, "MD5:") || strings.Count(s, ":") == 15 {
		return errors.New("MD5 fingerprints prove nothing; give that of SHA256, by ssh-keygen -l")
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("%.80q is neither a fingerprint (SHA256:…) nor a public key (ssh-ed25519 AAAA…)", s)
	}
	*k = HostKey{fingerprint: ssh.FingerprintSHA256(key), key: key}
	return nil
}

// Type returns what such an option is called.
func (HostKey) Type() string { return "fingerprint or public key" }

// Example returns one.
func (HostKey) Example() string { return "SHA256:JJuU0VvIuaLr9RdPDPX1GWx9LQ1qMd6BfVGFKXOZ9bU" }

// String returns the fingerprint.
func (k HostKey) String() string { return k.fingerprint }

// hostKeys says which keys the server may have.
type hostKeys struct {
	file string // in the format of known_hosts, or ""
	pins HostKeys
}

// newHostKeys checks the options.
func newHostKeys(o Options) (*hostKeys, error) {
	h := &hostKeys{file: o.KnownHosts, pins: o.HostKey}
	switch {
	case h.file == "" && len(h.pins) == 0:
		return nil, core.BadOption("known_hosts", "missing; give known_hosts, such as the file of your ssh, or host_key: without either, anybody could pass for the server")
	case h.file != "" && len(h.pins) > 0:
		return nil, core.BadOption("host_key", "give only one of known_hosts and host_key")
	case h.file != "":
		if _, err := readKnownHosts(h.file, o.Server.Addr().String()); err != nil {
			return nil, &core.OptionError{Key: "known_hosts", Err: err}
		}
	}
	return h, nil
}

// verifier checks the keys that a server shows during one attempt to connect.
type verifier struct {
	server string
	pins   HostKeys
	known  *knownHosts // nil with pins
	offer  []string    // algorithms, the best first

	shown    []ssh.PublicKey
	accepted string // the fingerprint of the server's key, once it is accepted
	refused  error
}

// verifier returns a verifier for an attempt. The file is read anew.
func (h *hostKeys) verifier(server string) (*verifier, error) {
	v := &verifier{server: server, pins: h.pins}
	var types []string
	if h.file != "" {
		known, err := readKnownHosts(h.file, server)
		if err != nil {
			return nil, fmt.Errorf("known_hosts: %w", err)
		}
		v.known, types = known, known.types
	}
	for _, pin := range h.pins {
		if pin.key != nil {
			types = append(types, pin.key.Type())
		}
	}
	v.offer = offerFor(types)
	return v, nil
}

// check is the ssh.HostKeyCallback of an attempt.
func (v *verifier) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	v.shown = append(v.shown, key)
	if v.known != nil {
		v.refused = v.known.check(key)
	} else {
		v.refused = v.checkPins(key)
	}
	if v.refused == nil {
		v.accepted = fingerprint(key)
	}
	return v.refused
}

func (v *verifier) checkPins(key ssh.PublicKey) error {
	if slices.ContainsFunc(v.pins, func(pin HostKey) bool { return pin.fingerprint == ssh.FingerprintSHA256(key) }) {
		return nil
	}
	var shown, pinned []string
	for _, k := range v.shown {
		shown = append(shown, fingerprint(k))
	}
	for _, pin := range v.pins {
		pinned = append(pinned, pin.fingerprint)
	}
	return fmt.Errorf("%w: the key of %s is not the pinned one: the server shows %s, and host_key has %s; %s",
		core.ErrAuth, v.server, strings.Join(shown, ", "), strings.Join(pinned, ", "), inTheMiddle)
}

// inTheMiddle says what a key other than the known one may mean.
const inTheMiddle = "somebody may stand between this machine and the server, or the server has a new key"

// another reports whether another attempt, with other algorithms, may succeed after err: a
// server shows one key at a time, and one of another type may be pinned. A fingerprint does
// not say of which type its key is.
func (v *verifier) another(err error) bool {
	if v.refused == nil || !errors.Is(err, v.refused) || v.known != nil || len(v.shown) == 0 {
		return false
	}
	wasShown := func(pin HostKey) bool {
		return pin.key != nil && slices.ContainsFunc(v.shown, func(k ssh.PublicKey) bool { return k.Type() == pin.key.Type() })
	}
	if !slices.ContainsFunc(v.pins, func(pin HostKey) bool { return !wasShown(pin) }) {
		return false
	}
	last := algorithmsOf(v.shown[len(v.shown)-1].Type())
	before := len(v.offer)
	v.offer = slices.DeleteFunc(v.offer, func(a string) bool { return slices.Contains(last, a) })
	return len(v.offer) > 0 && len(v.offer) < before
}

// fingerprint returns the type and the fingerprint of a key, for people.
func fingerprint(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }

// plainAlgorithms are those of keys without certificates, the best first.
var plainAlgorithms = [...]string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// algorithmsOf returns the algorithms of a type of key. That of SHA-1 is not among them.
func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// offerFor returns the algorithms to offer for known types of keys: those of the known types
// first, so that a server with several keys shows a known one, and then all others, so that a
// server without a known one can be told apart.
func offerFor(types []string) []string {
	var offer []string
	add := func(algorithms ...string) {
		for _, a := range algorithms {
			if !slices.Contains(offer, a) {
				offer = append(offer, a)
			}
		}
	}
	for _, t := range types {
		if t == certificates {
			for _, a := range ssh.SupportedAlgorithms().HostKeys {
				if strings.Contains(a, "-cert-") {
					add(a)
				}
			}
			continue
		}
		add(algorithmsOf(t)...)
	}
	add(plainAlgorithms[:]...)
	return offer
}

// nobody is a key that no server has.
func nobody() ssh.PublicKey {
	key, _ := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize))) // can't fail
	return key
}
