package option

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// maxPasswordFile is the maximum size of a password file in bytes. Only the first line
// counts, and the rest may be anything that a password manager adds.
const maxPasswordFile = 64 << 10

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

// Key returns the key of the option that gives the secret.
func (p Password) Key() string {
	switch {
	case p.PasswordFile != "":
		return "password_file"
	case p.PasswordEnv != "":
		return "password_env"
	}
	return "password"
}

// Read returns the secret. A byte order mark before a secret of a file or a variable, and
// the line end after it, are not part of it. Read logs a warning for a file that every
// user of the machine may read, and for a secret that begins or ends with a space. Its
// errors name the key to mend.
func (p Password) Read(log *slog.Logger) (Text, error) {
	given := 0
	for _, s := range []string{p.Password.Reveal(), p.PasswordFile, p.PasswordEnv} {
		if s != "" {
			given++
		}
	}
	switch given {
	case 0:
		return "", core.BadOption("password", "missing; give password, password_file or password_env")
	case 1:
	default:
		return "", core.BadOption("password", "give only one of password, password_file and password_env")
	}
	t, err := p.read()
	if err == nil {
		err = CheckSecret(t)
	}
	if err != nil {
		return "", &core.OptionError{Key: p.Key(), Err: err}
	}
	if p.PasswordFile != "" {
		textfile.WarnIfExposed(log, p.PasswordFile)
	}
	if padded(t) {
		log.Warn("the secret begins or ends with a space or an invisible character, which the other end must have too", slog.String("option", p.Key()))
	}
	return t, nil
}

// read returns the secret, without a check.
func (p Password) read() (Text, error) {
	switch {
	case p.PasswordFile != "":
		text, err := textfile.Read(p.PasswordFile, maxPasswordFile)
		if err != nil {
			return "", err
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		if len(line) == 0 {
			return "", fmt.Errorf("%s has an empty first line", p.PasswordFile)
		}
		return Text(line), nil
	case p.PasswordEnv != "":
		v := strings.TrimRight(strings.TrimPrefix(os.Getenv(p.PasswordEnv), "\ufeff"), "\r\n")
		if v == "" {
			return "", fmt.Errorf("the environment variable %s is not set", p.PasswordEnv)
		}
		return Text(v), nil
	}
	return p.Password, nil
}
