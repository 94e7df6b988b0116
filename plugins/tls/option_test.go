package tls

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestPinUnmarshalText(t *testing.T) {
	sum := make([]byte, 32)
	for i := range sum {
		sum[i] = byte(i * 37)
	}
	b64, hexed := base64.StdEncoding.EncodeToString(sum), hex.EncodeToString(sum)
	for _, tc := range []struct {
		name, text string
		ok         bool
	}{
		{"base64", b64, true},
		{"base64 unpadded", strings.TrimRight(b64, "="), true},
		{"as curl has it", "sha256//" + b64, true},
		{"prefixed base64", "sha256:" + b64, true},
		{"hex", hexed, true},
		{"upper-case hex", strings.ToUpper(hexed), true},
		{"prefixed hex", "sha256:" + hexed, true},
		{"empty", "", false},
		{"prefix alone", "sha256:", false},
		{"short hex", hexed[:62], false},
		{"SHA-1 in base64", base64.StdEncoding.EncodeToString(sum[:20]), false},
		{"not hex", strings.Repeat("z", 64), false},
		{"other hash", "sha512:" + b64, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p Pin
			err := p.UnmarshalText([]byte(tc.text))
			if (err == nil) != tc.ok {
				t.Fatalf("got error %v, want ok %v", err, tc.ok)
			}
			if want := "sha256//" + b64; err == nil && p.String() != want {
				t.Errorf("got %s, want %s", p, want)
			}
		})
	}
}

func FuzzPinUnmarshalText(f *testing.F) {
	f.Add("sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Add(strings.Repeat("0f", 32))
	f.Fuzz(func(t *testing.T, text string) {
		var p, again Pin
		if p.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(p.String())); err != nil || again != p {
			t.Errorf("%q: got %v, %v after a round trip, want %v", text, again, err, p)
		}
	})
}

func TestVersionUnmarshalText(t *testing.T) {
	for _, tc := range []struct {
		text, want string
		ok         bool
	}{
		{"1.2", "1.2", true},
		{"1.3", "1.3", true},
		{"1.1", "", false},
		{"", "", false},
		{"TLS1.3", "", false},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var v Version
			err := v.UnmarshalText([]byte(tc.text))
			if (err == nil) != tc.ok {
				t.Fatalf("got error %v, want ok %v", err, tc.ok)
			}
			if err == nil && v.String() != tc.want {
				t.Errorf("got %s, want %s", v, tc.want)
			}
		})
	}
	if got := Version(0).String(); got != "1.3" {
		t.Errorf("zero Version: got %s, want 1.3", got)
	}
}
