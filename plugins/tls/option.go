package tls

import (
	"crypto/sha256"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/umbra-proxy/umbra/core/option"
)

// Pin is the SHA-256 hash of a public key, in the form of a certificate's
// SubjectPublicKeyInfo (RFC 5280 §4.1, RFC 7469 §2.4). A certificate that is
// renewed with the same key keeps its pin.
type Pin struct{ sum [sha256.Size]byte }

// PinOf returns the pin of a certificate's key.
func PinOf(cert *x509.Certificate) Pin {
	return Pin{sha256.Sum256(cert.RawSubjectPublicKeyInfo)}
}

// Type returns the name of the option type.
func (Pin) Type() string { return "SHA-256 of a public key" }

// Example returns a pin.
func (Pin) Example() string { return "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }

// UnmarshalText reads 32 bytes in base64 or hex, after "sha256//" (as curl has
// it), "sha256:" or nothing.
func (p *Pin) UnmarshalText(text []byte) error {
	s := string(text)
	for _, prefix := range []string{"sha256//", "sha256:"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			s = rest
			break
		}
	}
	var sum []byte
	var err error
	if len(s) == hex.EncodedLen(sha256.Size) {
		sum, err = hex.DecodeString(s)
	} else {
		sum, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	}
	if err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("invalid pin %q: want a SHA-256 hash in base64 (44 characters) or hex (64)", text)
	}
	p.sum = [sha256.Size]byte(sum)
	return nil
}

// String returns the pin as "sha256//" and base64.
func (p Pin) String() string { return "sha256//" + base64.StdEncoding.EncodeToString(p.sum[:]) }

// Version is a TLS version. The zero Version is 1.3.
type Version uint16

// Values returns the versions that are still safe.
func (Version) Values() []string { return []string{"1.2", "1.3"} }

// UnmarshalText reads one of the versions.
func (v *Version) UnmarshalText(text []byte) error {
	switch string(text) {
	case "1.2":
		*v = stdtls.VersionTLS12
	case "1.3":
		*v = stdtls.VersionTLS13
	default:
		return fmt.Errorf("%w; other versions are insecure", option.WrongWord(string(text), v.Values()))
	}
	return nil
}

// String returns the form that UnmarshalText reads.
func (v Version) String() string {
	if v == stdtls.VersionTLS12 {
		return "1.2"
	}
	return "1.3"
}

// id returns the protocol's number of v.
func (v Version) id() uint16 {
	if v == 0 {
		return stdtls.VersionTLS13
	}
	return uint16(v)
}
