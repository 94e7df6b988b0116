package tls

import (
	"bytes"
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// material holds the configs made from one consistent read of the files. Configs do not
// change: a reload creates new ones, with new session ticket keys and an empty session
// cache, so that no peer resumes a session that the new files would refuse.
type material struct {
	server *stdtls.Config // nil without cert
	client *stdtls.Config // ServerName is empty if it is to be the dialled host
	ends   time.Time      // when the first certificate of cert ends; zero without cert
}

const (
	// checkEvery is the minimum interval between checks of the files. A check is a few
	// stat calls, made by one handshake for all others.
	checkEvery = time.Second
	// maxFile is the maximum size of each file in bytes: a system's CAs take 0.3 MB.
	maxFile = 16 << 20
)

// reader returns the bytes of a file, or the error of reading it, which names it.
type reader func(file string) ([]byte, error)

// follow reads the files, and reads them again when they change. Files that don't fit
// together, such as a certificate whose key is not yet written, are not used.
// Configurations of the process in which a transport has the same name and options share
// what was read, with its session tickets.
func (o Options) follow(files *follow.Files, name string, log *slog.Logger, now func() time.Time) (*follow.Value[*material], error) {
	return follow.SharedValue(files, fmt.Sprintf("tls %s %#v", name, o), follow.Source[*material]{
		Paths: o.files(), Limit: maxFile, Every: checkEvery, Now: now,
		Make: func(read func(string) ([]byte, error)) (*material, error) { return o.load(read, log, now()) },
		Reloaded: func(err error) {
			if err != nil {
				log.LogAttrs(context.Background(), slog.LevelWarn, "changed certificate files not usable, keeping the old ones", slog.Any("err", err))
				return
			}
			log.LogAttrs(context.Background(), slog.LevelInfo, "certificate files reloaded", slog.Any("files", o.files()))
		},
	})
}

// load creates the configs of both roles from the files.
func (o Options) load(read reader, log *slog.Logger, now time.Time) (*material, error) {
	var own []stdtls.Certificate
	var ends time.Time
	if o.Cert != "" {
		pair, err := readPair(read, log, o.Cert, o.Key)
		if err != nil {
			return nil, err
		}
		warnDates(log, o.Cert, pair.Leaf, now)
		own, ends = append(own, pair), endOf(pair)
	}
	m := &material{ends: ends, client: &stdtls.Config{
		Certificates:       own,
		ServerName:         o.ServerName,
		NextProtos:         o.ALPN,
		MinVersion:         o.MinVersion.id(),
		ClientSessionCache: stdtls.NewLRUClientSessionCache(0),
	}}
	if o.CA != "" {
		pool, err := readPool(read, "ca", o.CA)
		if err != nil {
			return nil, err
		}
		m.client.RootCAs = pool
	}
	if len(o.Pin) > 0 {
		// VerifyConnection runs for resumed sessions too. Without ca it is the only
		// check: a pinned key needs no CA.
		m.client.InsecureSkipVerify = o.CA == ""
		m.client.VerifyConnection = o.verifyPin
	}
	if o.Cert == "" {
		return m, nil
	}
	m.server = &stdtls.Config{Certificates: own, NextProtos: o.ALPN, MinVersion: o.MinVersion.id()}
	if o.ClientCA != "" {
		pool, err := readPool(read, "client_ca", o.ClientCA)
		if err != nil {
			return nil, err
		}
		m.server.ClientCAs = pool
		m.server.ClientAuth = stdtls.RequireAndVerifyClientCert
	}
	return m, nil
}

// verifyPin checks that the key of the server's own certificate is pinned. A pinned CA
// key does not count: the CA could issue other certificates.
func (o Options) verifyPin(state stdtls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return fmt.Errorf("%w: the server presented no certificate", core.ErrAuth)
	}
	if pin := PinOf(state.PeerCertificates[0]); !slices.Contains(o.Pin, pin) {
		return fmt.Errorf("%w: the server's key is not pinned: %s", core.ErrAuth, pin)
	}
	return nil
}

// readPair reads a certificate chain and its private key. Its errors contain no part of
// the key.
func readPair(read reader, log *slog.Logger, certFile, keyFile string) (stdtls.Certificate, error) {
	certPEM, err := read.option("cert", certFile)
	if err != nil {
		return stdtls.Certificate{}, err
	}
	if _, err := parseCertificates("cert", certFile, certPEM); err != nil {
		return stdtls.Certificate{}, err
	}
	keyPEM, err := read.option("key", keyFile)
	if err != nil {
		return stdtls.Certificate{}, err
	}
	if err := checkKey(keyFile, keyPEM); err != nil {
		return stdtls.Certificate{}, err
	}
	textfile.WarnIfExposed(log, keyFile)
	pair, err := stdtls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "tls: ")
		return stdtls.Certificate{}, core.BadOption("key", "%s does not fit the certificate in %s: %s", keyFile, certFile, text)
	}
	return pair, nil
}

// checkKey detects mistakes for which the errors of crypto/tls are unclear.
func checkKey(file string, data []byte) error {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return core.BadOption("key", "%s is protected by a passphrase: want a key without one", file)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		}
	}
	return core.BadOption("key", "no PEM private key in %s", file)
}

// readPool reads a file of CA certificates for the option key.
func readPool(read reader, key, file string) (*x509.CertPool, error) {
	data, err := read.option(key, file)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(key, file, data)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

// parseCertificates returns the certificates of a PEM file, at least one. Unlike
// crypto/tls it refuses a file that contains an invalid certificate.
func parseCertificates(key, file string, data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, core.BadOption(key, "certificate %d of %s: %w", len(certs)+1, file, err)
		}
		certs = append(certs, c)
	}
	switch {
	case len(certs) > 0:
		return certs, nil
	case len(bytes.TrimSpace(data)) == 0:
		return nil, core.BadOption(key, "%s is empty", file)
	}
	return nil, core.BadOption(key, "no PEM certificate in %s", file)
}

// option reads the file of an option.
func (read reader) option(key, file string) ([]byte, error) {
	data, err := read(file)
	if errors.Is(err, textfile.ErrNotText) {
		return nil, core.BadOption(key, "%w; a certificate or key in DER form becomes PEM by: openssl x509 -inform der, openssl pkey -inform der", err)
	}
	if err != nil {
		return nil, core.BadOption(key, "%w", err)
	}
	return data, nil
}

// warnDates logs a warning if a certificate is not valid now: peers that check dates
// refuse it, but peers that pin its key accept it.
func warnDates(log *slog.Logger, file string, leaf *x509.Certificate, now time.Time) {
	text := ""
	switch {
	case now.After(leaf.NotAfter):
		text = "certificate has expired"
	case now.Before(leaf.NotBefore):
		text = "certificate is not valid yet"
	default:
		return
	}
	log.LogAttrs(context.Background(), slog.LevelWarn, text, slog.String("file", file),
		slog.Time("not_before", leaf.NotBefore), slog.Time("not_after", leaf.NotAfter))
}
