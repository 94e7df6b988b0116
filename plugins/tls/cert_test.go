package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority is a CA of one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

// identity is a certificate and its key, in files.
type identity struct {
	cert      *x509.Certificate
	file, key string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t)
	tmpl := template(t, "test CA")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	a := &authority{key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	a.cert = sign(t, tmpl, tmpl, key, key)
	writePEM(t, a.file, "CERTIFICATE", a.cert.Raw)
	return a
}

// issue makes a certificate for name, which may be an IP address.
func (a *authority) issue(t testing.TB, name string) identity {
	t.Helper()
	id := identityIn(t.TempDir())
	a.issueTo(t, &id, template(t, name))
	return id
}

// issueTo overwrites the files of id with a new key and a certificate made from
// tmpl.
func (a *authority) issueTo(t testing.TB, id *identity, tmpl *x509.Certificate) {
	t.Helper()
	key := newKey(t)
	id.cert = sign(t, tmpl, a.cert, key, a.key)
	writePEM(t, id.file, "CERTIFICATE", id.cert.Raw)
	writePEM(t, id.key, "PRIVATE KEY", pkcs8(t, key))
}

// selfSigned makes a certificate that no CA vouches for.
func selfSigned(t testing.TB, name string) identity {
	t.Helper()
	id, key, tmpl := identityIn(t.TempDir()), newKey(t), template(t, name)
	id.cert = sign(t, tmpl, tmpl, key, key)
	writePEM(t, id.file, "CERTIFICATE", id.cert.Raw)
	writePEM(t, id.key, "PRIVATE KEY", pkcs8(t, key))
	return id
}

func identityIn(dir string) identity {
	return identity{file: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
}

func template(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{name}
	}
	return tmpl
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pkcs8(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	writeFile(t, file, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func writeFile(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readText(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
