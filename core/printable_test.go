package core_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

func TestVisible(t *testing.T) {
	for _, tc := range []struct {
		name, text, keep, visible, quoted string
	}{
		{"plain", "Zürich, 東京 ✓", "", "Zürich, 東京 ✓", "Zürich, 東京 ✓"},
		{"escape sequence", "a\x1b[2Jb", "", "a?[2Jb", `"a\x1b[2Jb"`},
		{"lines", "a\nb\tc\r", "\n\t", "a\nb\tc?", `"a\nb\tc\r"`},
		{"no UTF-8", "a\x9b2Jb", "", "a?2Jb", `"a\x9b2Jb"`},
		{"C1 control", "a\u009b2Jb", "", "a?2Jb", `"a\u009b2Jb"`},
		{"direction override", "a\u202eb", "", "a?b", `"a\u202eb"`},
		{"empty", "", "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := core.Visible(tc.text, tc.keep); got != tc.visible {
				t.Errorf("Visible: got %q, want %q", got, tc.visible)
			}
			if got := core.QuoteHidden(tc.text); got != tc.quoted {
				t.Errorf("QuoteHidden: got %q, want %q", got, tc.quoted)
			}
		})
	}
}
