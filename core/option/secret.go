package option

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/umbra-proxy/umbra/core"
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

// Password is a secret given in one of three ways. Embed it in an options
// struct.
type Password struct {
	Password     Text   `toml:"password" help:"the secret itself"`
	PasswordFile string `toml:"password_file" help:"a file whose first line is the secret"`
	PasswordEnv  string `toml:"password_env" help:"an environment variable that holds the secret"`
}

// Given reports whether there is one.
func (p Password) Given() bool {
	return p.Password != "" || p.PasswordFile != "" || p.PasswordEnv != ""
}

// Read returns the secret. Its errors name the key to mend.
func (p Password) Read() (Text, error) {
	given := 0
	for _, s := range []string{p.Password.Reveal(), p.PasswordFile, p.PasswordEnv} {
		if s != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return "", core.BadOption("password", "missing; give password, password_file or password_env")
	case given > 1:
		return "", core.BadOption("password", "give only one of password, password_file and password_env")
	case p.PasswordFile != "":
		return readFile(p.PasswordFile)
	case p.PasswordEnv != "":
		v := os.Getenv(p.PasswordEnv)
		if v == "" {
			return "", core.BadOption("password_env", "the environment variable %s is not set", p.PasswordEnv)
		}
		return Text(v), nil
	}
	return p.Password, nil
}

func readFile(path string) (Text, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return "", core.BadOption("password_file", "read %s: %w", path, err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", &core.OptionError{Key: "password_file", Err: fmt.Errorf("%s has an empty first line", path)}
	}
	return Text(line), nil
}
