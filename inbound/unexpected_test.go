package inbound

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func TestNoteProxyHeader(t *testing.T) {
	const v2 = "\r\n\r\n\x00\r\nQUIT\n"
	for _, tc := range []struct {
		name, first string
		want        bool
	}{
		{"version 1", "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n\x8a\x01", true},
		{"version 2", v2 + "\x21\x11\x00\x0c", true},
		{"its beginning", "PROX", false},
		{"noise", "\x01\x02\x03\x04\x05\x06\x07", false},
		{"nothing", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := fmt.Errorf("length of a chunk: %w", core.ErrAuth)
			got := NoteProxyHeader(err, []byte(tc.first))
			if errors.Is(got, core.ErrProxyHeader) != tc.want || !errors.Is(got, core.ErrAuth) {
				t.Errorf("got %v, want a header %t", got, tc.want)
			}
			if NoteProxyHeader(nil, []byte(tc.first)) != nil {
				t.Error("nil became an error")
			}
			var record tls.RecordHeaderError
			if copy(record.RecordHeader[:], tc.first) < len(record.RecordHeader) {
				return
			}
			if got := noteHeaderBeforeTLS(record); errors.Is(got, core.ErrProxyHeader) != tc.want {
				t.Errorf("before TLS: got %v, want a header %t", got, tc.want)
			}
		})
	}
}
