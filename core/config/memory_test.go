package config

import "testing"

func TestMemory(t *testing.T) {
	for text, want := range map[string]struct {
		print string
		bytes int64
		ok    bool
	}{
		"auto":      {"auto", 0, false},
		"unlimited": {"unlimited", 0, true},
		"64MiB":     {"64MiB", 64 << 20, true},
		"24MiB":     {"24MiB", 24 << 20, true},
		"23MiB":     {"", 0, false},
		"64":        {"", 0, false},
		"":          {"", 0, false},
	} {
		m := Memory{true, 1}
		if err := m.UnmarshalText([]byte(text)); err != nil != (want.print == "") {
			t.Errorf("%q: got the error %v", text, err)
		}
		if want.print == "" {
			continue
		}
		if bytes, ok := m.Bytes(); bytes != want.bytes || ok != want.ok || m.String() != want.print {
			t.Errorf("%q: got %d, %t, %s, want %d, %t, %s", text, bytes, ok, m, want.bytes, want.ok, want.print)
		}
	}
}
