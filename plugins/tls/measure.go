package tls

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

var _ core.Measurer = (*Transport)(nil)

// Measure implements core.Measurer. A changed file is read if it has not been yet.
func (t *Transport) Measure(yield func(core.Figure)) {
	if ends := t.material.Get().ends; !ends.IsZero() {
		yield(metrics.Value(metrics.CertificateNotAfter, float64(ends.Unix()), t.name))
	}
}

// endOf returns when a chain of certificates ends: with the first of them.
func endOf(pair stdtls.Certificate) time.Time {
	ends := pair.Leaf.NotAfter
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil && c.NotAfter.Before(ends) { // they have been parsed before
			ends = c.NotAfter
		}
	}
	return ends
}
