package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/test/peer"
)

// certificate is a self-signed certificate for "front.test".
type certificate struct {
	cert, key string // PEM files
	pin       string // pin of the public key
}

func newCertificate(t testing.TB) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front.test"}, DNSNames: []string{"front.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(public)
	return certificate{
		cert: write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		key:  write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))),
		pin:  base64.StdEncoding.EncodeToString(sum[:]),
	}
}

// TestTLS carries Shadowsocks in TLS between two umbras, verified by CA or by pin, and refuses a certificate
// that matches neither.
func TestTLS(t *testing.T) {
	front := newCertificate(t)
	server := peer.FreePort(t)
	run(t, withTransport(serverFile(server, method), "[inbound.ss]")+
		fmt.Sprintf("[transport.front]\nkind = \"tls\"\ncert = %q\nkey = %q\n", front.cert, front.key), server)
	target := newGreeter(t, "hidden")
	for _, tc := range []struct {
		name, options string
		served        bool
	}{
		{"ca", fmt.Sprintf("ca = %q\nserver_name = \"front.test\"\n", front.cert), true},
		{"pin", fmt.Sprintf("pin = [%q]\n", front.pin), true},
		{"wrong name", fmt.Sprintf("ca = %q\nserver_name = \"other.test\"\n", front.cert), false},
		{"wrong pin", fmt.Sprintf("pin = [%q]\n", newCertificate(t).pin), false},
		{"unknown authority", "server_name = \"front.test\"\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			proxy := peer.FreePort(t)
			run(t, withTransport(localFile(proxy, method, server), "[outbound.hop0]")+"[transport.front]\nkind = \"tls\"\n"+tc.options, proxy)
			if !tc.served {
				if err := echoOnce(proxy, target.addr); err == nil {
					t.Error("served under a certificate that is not trusted")
				}
				return
			}
			expect(t, dialSOCKS(t, proxy, target.addr), "hidden\n")
			moveFiles(t, proxy, 0, 1, 16384, 10_000_000)
		})
	}
}

// withTransport adds the transport "front" to a table of a file, and restricts the table to TCP.
func withTransport(file, table string) string {
	file = strings.Replace(file, table+"\n", table+"\ntransport = [\"front\"]\n", 1)
	return regexp.MustCompile(`\[inbound\.\w+\]\n`).ReplaceAllString(file, "${0}mode = \"tcp\"\n")
}
