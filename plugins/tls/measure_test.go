package tls

import (
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
)

const endsSeries = `umbra_certificate_not_after_timestamp_seconds{transport="test"}`

// TestMeasure has the end of a certificate, of the one that took its place, and of a chain.
func TestMeasure(t *testing.T) {
	ca := newAuthority(t)
	id, next := identityIn(t.TempDir()), identityIn(t.TempDir())
	for i, one := range []*identity{&id, &next} {
		tmpl := template(t, "example.test")
		tmpl.NotAfter = time.Now().Add(time.Duration(i+1) * 100 * time.Hour)
		ca.issueTo(t, one, tmpl)
	}
	w := watch(t, Options{Cert: id.file, Key: id.key})
	want := func(what string, at time.Time) {
		t.Helper()
		if got := coretest.Figures(w.tr); got[endsSeries] != float64(at.Unix()) || len(got) != 1 {
			t.Errorf("%s: got %v, want %d", what, got, at.Unix())
		}
	}
	want("a certificate", id.cert.NotAfter)
	later := time.Now().Add(time.Minute)
	put(t, id.file, readText(t, next.file), later)
	put(t, id.key, readText(t, next.key), later)
	w.clock.add(checkEvery)
	want("renewed", next.cert.NotAfter)
	coretest.TestMeasurer(t, w.tr, func() { w.clock.add(checkEvery) })

	put(t, next.file, readText(t, next.file)+readText(t, ca.file), later)
	w = watch(t, Options{Cert: next.file, Key: next.key})
	if !ca.cert.NotAfter.Before(next.cert.NotAfter) {
		t.Fatalf("the CA ends at %v, the certificate at %v", ca.cert.NotAfter, next.cert.NotAfter)
	}
	want("a chain", ca.cert.NotAfter)

	w = watch(t, Options{CA: ca.file})
	if got := coretest.Figures(w.tr); len(got) != 0 {
		t.Errorf("without a certificate: got %v", got)
	}
}
