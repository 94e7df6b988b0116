package textfile

import (
	"crypto/x509"
	"fmt"
)

// maxAuthorities is the maximum size of a file of certificates in bytes: a system's
// authorities take 0.3 MB.
const maxAuthorities = 16 << 20

// Authorities returns the certificates, in PEM, of the file at path, to be trusted. Errors
// name the file.
func Authorities(path string) (*x509.CertPool, error) {
	pem, err := Read(path, maxAuthorities)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no PEM certificate in %s", path)
	}
	return pool, nil
}
