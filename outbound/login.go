package outbound

import (
	"log/slog"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Login are the options of a server that wants to know its users. Embed it in the options
// of a kind.
type Login struct {
	User string `toml:"user" help:"the name of a user of the server"`
	option.Password
}

// Given reports whether there is a user or a password.
func (l Login) Given() bool { return l.User != "" || l.Password.Given() }

// Read returns the name and the password, which may be empty: some servers have users
// without one. Its errors name the key to mend.
func (l Login) Read(log *slog.Logger) (user, password string, err error) {
	if l.User == "" && l.Password.Given() {
		return "", "", core.BadOption(l.Key(), "a password without a user; add user")
	}
	if err := option.CheckSecret(option.Text(l.User)); err != nil {
		return "", "", core.BadOption("user", "it contains a line end or another control character; remove it")
	}
	if !l.Password.Given() {
		return l.User, "", nil
	}
	text, err := l.Password.Read(log)
	return l.User, text.Reveal(), err
}
