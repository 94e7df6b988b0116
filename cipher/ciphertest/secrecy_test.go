package ciphertest

import "testing"

func TestShared(t *testing.T) {
	for _, tc := range []struct{ a, b, want string }{
		{"", "", ""},
		{"1234567", "1234567", ""},
		{"12345678", "12345678", "12345678"},
		{"..example.com..", "an example.com", "example."},
		{"12345678", "1234567x12345678", "12345678"},
		{"12345678", "1234567x2345678", ""},
	} {
		if got := string(shared([]byte(tc.a), []byte(tc.b))); got != tc.want {
			t.Errorf("%q and %q: got %q, want %q", tc.a, tc.b, got, tc.want)
		}
	}
}
