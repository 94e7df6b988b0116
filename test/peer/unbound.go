package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Unbound is a running unbound.
type Unbound struct {
	*Process
	Port  int // of UDP and TCP
	TLS   int // of DNS over TLS
	HTTPS int // of DNS over HTTPS, at /dns-query
	CA    string
}

// StartUnbound runs unbound on 127.0.0.1 with additional lines in its server clause, such as
// local-data, and additional clauses. Its certificate is for 127.0.0.1 and dns.test.
func StartUnbound(t testing.TB, server, clauses string) *Unbound {
	t.Helper()
	program := Need(t, "unbound")
	cert, key := Certificate(t, "dns.test", "127.0.0.1")
	u := &Unbound{Port: FreePort(t), TLS: FreePort(t), HTTPS: FreePort(t), CA: cert}
	path := filepath.Join(t.TempDir(), "unbound.conf")
	file := fmt.Sprintf(`server:
	directory: ""
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	verbosity: 1
	do-daemonize: no
	num-threads: 1
	interface: 127.0.0.1@%d
	interface: 127.0.0.1@%d
	interface: 127.0.0.1@%d
	tls-port: %[2]d
	https-port: %[3]d
	tls-service-pem: %q
	tls-service-key: %q
	module-config: "iterator"
	do-not-query-localhost: no
	qname-minimisation: no
	%s
remote-control:
	control-enable: no
%s
`, u.Port, u.TLS, u.HTTPS, cert, key, server, clauses)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	u.Process = Start(t, nil, program, "-d", "-p", "-c", path)
	for _, port := range []int{u.Port, u.TLS, u.HTTPS} {
		u.WaitListen(t, port)
	}
	u.WaitPackets(t, u.Port)
	return u
}

// Certificate writes a self-signed certificate and its key for names and addresses. It returns
// the two paths.
func Certificate(t testing.TB, hosts ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}
