package ssh

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// agentVariable is the environment variable that has the path of the agent's socket.
const agentVariable = "SSH_AUTH_SOCK"

// maxKeyFile is the maximum size of a file with a private key, in bytes.
const maxKeyFile = 64 << 10

// Login are the options of how the client proves who it is.
type Login struct {
	User string `toml:"user" required:"true" help:"the name of a user of the server"`
	option.Password
	KeyFile string `toml:"key_file" help:"a file with the user's private key"`
	Passphrase
	Agent string `toml:"agent" help:"the socket of an SSH agent that has keys of the user; \"SSH_AUTH_SOCK\" for the socket that this environment variable names"`
}

// Passphrase is the secret of an encrypted private key, given in one of three ways.
type Passphrase struct {
	Passphrase     option.Text `toml:"passphrase" help:"the passphrase of an encrypted key_file"`
	PassphraseFile string      `toml:"passphrase_file" help:"a file whose first line is the passphrase"`
	PassphraseEnv  string      `toml:"passphrase_env" help:"an environment variable that holds the passphrase"`
}

// read returns the passphrase. Its errors name the key to mend.
func (p Passphrase) read(log *slog.Logger) ([]byte, error) {
	as := option.Password{Password: p.Passphrase, PasswordFile: p.PassphraseFile, PasswordEnv: p.PassphraseEnv}
	text, err := as.Read(slog.New(slog.DiscardHandler)) // whose warnings would name other keys
	if bad, ok := errors.AsType[*core.OptionError](err); ok {
		mend := func(s string) string { return strings.ReplaceAll(s, "password", "passphrase") }
		if errors.Unwrap(bad.Err) == nil {
			return nil, core.BadOption(mend(bad.Key), "%s", mend(bad.Err.Error()))
		}
		return nil, &core.OptionError{Key: mend(bad.Key), Err: bad.Err}
	}
	if p.PassphraseFile != "" {
		textfile.WarnIfExposed(log, p.PassphraseFile)
	}
	return []byte(text.Reveal()), err
}

// given reports whether there is one.
func (p Passphrase) given() bool {
	return p.Passphrase != "" || p.PassphraseFile != "" || p.PassphraseEnv != ""
}

// identity is what the client can prove.
type identity struct {
	password string
	key      ssh.Signer // nil for none
	agent    string     // path of a socket, or ""
}

// newIdentity reads what the options name.
func newIdentity(log *slog.Logger, o Login) (*identity, error) {
	if o.User == "" {
		return nil, core.BadOption("user", "missing; give the name of a user of the server")
	}
	if err := option.CheckSecret(option.Text(o.User)); err != nil {
		return nil, core.BadOption("user", "it contains a line end or another control character; remove it")
	}
	if !o.Password.Given() && o.KeyFile == "" && o.Agent == "" {
		return nil, core.BadOption("key_file", "missing; give key_file, agent or a password")
	}
	id := &identity{agent: o.Agent}
	if o.Password.Given() {
		text, err := o.Password.Read(log)
		if err != nil {
			return nil, err
		}
		id.password = text.Reveal()
	}
	if o.Agent == agentVariable {
		if id.agent = os.Getenv(agentVariable); id.agent == "" {
			return nil, core.BadOption("agent", "the environment variable %s is not set; start ssh-agent, or give the path of its socket", agentVariable)
		}
	}
	var err error
	id.key, err = readKey(log, o.KeyFile, o.Passphrase)
	return id, err
}

// readKey reads a file with a private key.
func readKey(log *slog.Logger, path string, secret Passphrase) (ssh.Signer, error) {
	if path == "" {
		if secret.given() {
			return nil, core.BadOption("passphrase", "a passphrase without a key; add key_file")
		}
		return nil, nil
	}
	text, err := textfile.Read(path, maxKeyFile)
	if err != nil {
		return nil, &core.OptionError{Key: "key_file", Err: err}
	}
	textfile.WarnIfExposed(log, path)
	key, err := ssh.ParsePrivateKey(text)
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		if !secret.given() {
			return nil, core.BadOption("key_file", "%s is encrypted; give passphrase, passphrase_file or passphrase_env", path)
		}
		passphrase, err := secret.read(log)
		if err != nil {
			return nil, err
		}
		key, err = ssh.ParsePrivateKeyWithPassphrase(text, passphrase)
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, core.BadOption("passphrase", "it does not open %s", path)
		}
		if err != nil {
			return nil, core.BadOption("key_file", "%s: %w", path, err)
		}
		return key, nil
	}
	switch {
	case err == nil && secret.given():
		return nil, core.BadOption("passphrase", "%s is not encrypted; remove the passphrase", path)
	case err == nil:
		return key, nil
	case bytes.HasPrefix(text, []byte("ssh-")) || bytes.HasPrefix(text, []byte("ecdsa-")):
		return nil, core.BadOption("key_file", "%s has a public key; give the file with the private one, whose name mostly has no .pub", path)
	}
	return nil, core.BadOption("key_file", "%s: no private key that can be used: %w", path, err)
}

// login is one attempt to log in.
type login struct {
	methods []ssh.AuthMethod
	agent   net.Conn // or nil
}

// begin prepares a login. The caller ends it.
func (id *identity) begin(ctx context.Context) (*login, error) {
	l := &login{}
	var keys []ssh.Signer
	if id.key != nil {
		keys = append(keys, id.key)
	}
	if id.agent != "" {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", id.agent)
		if err != nil {
			return nil, fmt.Errorf("agent: %w", err)
		}
		l.agent = conn
		if deadline, ok := ctx.Deadline(); ok {
			_ = conn.SetDeadline(deadline)
		}
		more, err := agent.NewClient(conn).Signers()
		if err == nil && len(more)+len(keys) == 0 {
			err = errors.New("it has no key; add one by ssh-add")
		}
		if err != nil {
			l.end()
			return nil, fmt.Errorf("agent %s: %w", id.agent, err)
		}
		keys = append(keys, more...)
	}
	if len(keys) > 0 {
		l.methods = append(l.methods, ssh.PublicKeys(keys...))
	}
	if id.password != "" {
		l.methods = append(l.methods, ssh.Password(id.password), ssh.KeyboardInteractive(answerOnce(id.password)))
	}
	return l, nil
}

// end gives back what the login held.
func (l *login) end() {
	if l.agent != nil {
		_ = l.agent.Close()
	}
}

// answerOnce answers the one question that a server asks which wants the password by
// keyboard-interactive (RFC 4256), and no other: what else it may ask for is not known.
func answerOnce(password string) ssh.KeyboardInteractiveChallenge {
	answered := false
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		switch {
		case len(questions) == 0:
			return nil, nil
		case answered:
			return nil, errors.New("authenticate: the server asks again, or for more than a password")
		case len(questions) > 1 || echos[0]:
			return nil, fmt.Errorf("authenticate: the server asks %.80q, which the outbound can't answer", questions)
		}
		answered = true
		return []string{password}, nil
	}
}
