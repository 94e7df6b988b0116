package option

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// redacted stands for a secret wherever one is printed.
const redacted = "[redacted]"

// Text is a secret string. It prints as [redacted] with every verb of fmt but
// %p, and in encoding/json and log/slog. fmt can't call the methods of an
// unexported field: keep a Text in a variable or an exported field.
type Text string

// UnmarshalText takes any text.
func (t *Text) UnmarshalText(text []byte) error { *t = Text(text); return nil }

// Type returns what such an option is called.
func (Text) Type() string { return "secret text" }

// String returns [redacted], or "" for an empty secret.
func (t Text) String() string {
	if t == "" {
		return ""
	}
	return redacted
}

// Format writes what String returns for any verb: %d would show the secret in
// its complaint about the verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// MarshalText returns what String does.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Reveal returns the secret itself.
func (t Text) Reveal() string { return string(t) }

// CheckSecret returns an error if t contains a control character other than a tab: an
// editor or a shell has added it, and the other end does not have it. The error does not
// contain the secret.
func CheckSecret(t Text) error {
	for _, r := range t.Reveal() {
		switch {
		case r == '\r' || r == '\n':
			return errors.New("the secret contains a line end; remove it")
		case r != '\t' && unicode.IsControl(r):
			return fmt.Errorf("the secret contains a control character (%U); remove it", r)
		}
	}
	if strings.HasPrefix(t.Reveal(), "\ufeff") {
		return errors.New("the secret begins with a byte order mark; remove it")
	}
	return nil
}

// padded reports whether a secret begins or ends with a character that nobody sees.
func padded(t Text) bool {
	return strings.TrimFunc(t.Reveal(), func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }) != t.Reveal()
}
