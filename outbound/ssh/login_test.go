package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/test/peer"
)

const secret = "hunter2 and more"

// works exchanges bytes with a target through an outbound.
func works(t *testing.T, o Options) {
	t.Helper()
	s, far := pair(t, over(t, newOutbound(t, o), dial.Net{}))
	coretest.Write(t, s, []byte("up"))
	coretest.Read(t, far, []byte("up"))
	coretest.Write(t, far, []byte("down"))
	coretest.Read(t, s, []byte("down"))
}

// fails returns the error of a dial through an outbound.
func fails(t *testing.T, o Options) error {
	t.Helper()
	st, err := over(t, newOutbound(t, o), dial.Net{}).DialStream(t.Context(), request("127.0.0.1:1"))
	if st != nil || err == nil || core.IsAtTarget(err) || core.IsSent(err) || strings.Contains(err.Error(), secret) {
		t.Fatalf("got %v, %v, want an error of the server without a secret", st, err)
	}
	return err
}

// TestKeys logs in to OpenSSH by keys of each type, and by encrypted ones.
func TestKeys(t *testing.T) {
	s := peer.SSHServer(t)
	for _, keyType := range []string{"ed25519", "ecdsa", "rsa"} {
		for _, passphrase := range []string{"", secret} {
			key := filepath.Join(t.TempDir(), "key")
			peer.SSHKey(t, key, keyType, passphrase)
			s.Authorize(t, key)
			o := options(t, s)
			o.KeyFile, o.Passphrase.Passphrase = key, option.Text(passphrase)
			works(t, o)
		}
	}
	o := options(t, s)
	o.KeyFile = filepath.Join(t.TempDir(), "stranger")
	peer.SSHKey(t, o.KeyFile, "ed25519", "")
	if err := fails(t, o); !errors.Is(err, core.ErrAuth) || !strings.Contains(err.Error(), `refuses the login of user "`+s.User) || !strings.Contains(err.Error(), "publickey") {
		t.Errorf("unknown key: got %v, want ErrAuth", err)
	}
}

// TestAgent logs in to OpenSSH by a key of ssh-agent.
func TestAgent(t *testing.T) {
	s := peer.SSHServer(t)
	socket := filepath.Join(t.TempDir(), "agent")
	agent := peer.Start(t, nil, peer.Need(t, "ssh-agent"), "-D", "-a", socket)
	agent.Until(t, "listen", func() bool { _, err := os.Stat(socket); return err == nil })
	o := options(t, s)
	o.KeyFile, o.Agent = "", socket
	if err := fails(t, o); !strings.Contains(err.Error(), socket) || !strings.Contains(err.Error(), "it has no key; add one by ssh-add") {
		t.Errorf("empty agent: got %v", err)
	}
	add := exec.Command(peer.Need(t, "ssh-add"), "-q", s.Key)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("ssh-add: %v: %s", err, out)
	}
	works(t, o)
	t.Setenv("SSH_AUTH_SOCK", socket)
	o.Agent = "SSH_AUTH_SOCK"
	works(t, o)
	o.Agent = filepath.Join(t.TempDir(), "missing")
	if err := fails(t, o); !strings.Contains(err.Error(), "agent") || !strings.Contains(err.Error(), o.Agent) {
		t.Errorf("no agent: got %v", err)
	}
}

// loginServer runs a server that asks for a login as config says, and refuses all channels.
// It returns its address and its key. OpenSSH's takes passwords of the system's users alone.
func loginServer(t *testing.T, config *ssh.ServerConfig) (addr string, key HostKey) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "host")
	peer.SSHKey(t, path, "ed25519", "")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				_, chans, requests, err := ssh.NewServerConn(c, config)
				if err != nil {
					return
				}
				serving.Go(func() { ssh.DiscardRequests(requests) })
				for ch := range chans {
					_ = ch.Reject(ssh.Prohibited, "logged in")
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String(), HostKey{ssh.FingerprintSHA256(signer.PublicKey()), signer.PublicKey()}
}

func TestPassword(t *testing.T) {
	right := func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if string(password) != secret {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}
	ask := func(questions []string, echos []bool) func(ssh.ConnMetadata, ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		return func(c ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := challenge("", "", questions, echos)
			if err != nil || len(answers) != 1 {
				return nil, fmt.Errorf("got %q, %v", answers, err)
			}
			return right(c, []byte(answers[0]))
		}
	}
	for _, tc := range []struct {
		name     string
		config   ssh.ServerConfig
		password string
		ok       bool
	}{
		{"password", ssh.ServerConfig{PasswordCallback: right}, secret, true},
		{"wrong password", ssh.ServerConfig{PasswordCallback: right}, "not " + secret, false},
		{"keyboard-interactive", ssh.ServerConfig{KeyboardInteractiveCallback: ask([]string{"Password: "}, []bool{false})}, secret, true},
		{"wrong answer", ssh.ServerConfig{KeyboardInteractiveCallback: ask([]string{"Password: "}, []bool{false})}, "not " + secret, false},
		{"second factor", ssh.ServerConfig{KeyboardInteractiveCallback: ask([]string{"Password: ", "Code: "}, []bool{false, false})}, secret, false},
		{"a question that is shown", ssh.ServerConfig{KeyboardInteractiveCallback: ask([]string{"Name: "}, []bool{true})}, secret, false},
		{"keys alone", ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, errors.New("no") }}, secret, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr, key := loginServer(t, &tc.config)
			o := Options{
				Login: Login{User: "alice", Password: option.Password{Password: option.Text(tc.password)}}, HostKey: HostKeys{key}, Connections: 1,
				KeepAlive: option.Off, IdleTimeout: option.Off, ConnectTimeout: option.Duration(coretest.Patience),
			}
			if err := o.Server.UnmarshalText([]byte(addr)); err != nil {
				t.Fatal(err)
			}
			if !tc.ok {
				if err := fails(t, o); !errors.Is(err, core.ErrAuth) {
					t.Errorf("got %v, want ErrAuth", err)
				}
				return
			}
			_, err := over(t, newOutbound(t, o), dial.Net{}).DialStream(context.Background(), request("127.0.0.1:1"))
			if !core.IsAtTarget(err) || !strings.Contains(err.Error(), "logged in") {
				t.Errorf("got %v, want the server's refusal after the login", err)
			}
		})
	}
}

// TestNew builds outbounds from options with mistakes.
func TestNew(t *testing.T) {
	s := peer.SSHServer(t)
	dir := t.TempDir()
	locked, garbage := filepath.Join(dir, "locked"), filepath.Join(dir, "garbage")
	peer.SSHKey(t, locked, "ed25519", secret)
	if err := os.WriteFile(garbage, []byte("hosts and\nnothing else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_AUTH_SOCK", "")
	for _, tc := range []struct {
		name   string
		change func(*Options)
		key    string
		text   string
	}{
		{"nothing", func(*Options) {}, "", ""},
		{"no user", func(o *Options) { o.User = "" }, "user", "missing"},
		{"line end in a user", func(o *Options) { o.User = "a\nb" }, "user", "line end"},
		{"no way to log in", func(o *Options) { o.KeyFile = "" }, "key_file", "give key_file, agent or a password"},
		{"no key", func(o *Options) { o.KeyFile = filepath.Join(dir, "missing") }, "key_file", "no such file"},
		{"public key", func(o *Options) { o.KeyFile = s.Key + ".pub" }, "key_file", "has a public key"},
		{"no key in a file", func(o *Options) { o.KeyFile = garbage }, "key_file", "no private key that can be used"},
		{"encrypted", func(o *Options) { o.KeyFile = locked }, "key_file", "is encrypted; give passphrase"},
		{"wrong passphrase", func(o *Options) { o.KeyFile, o.Passphrase.Passphrase = locked, "no "+secret }, "passphrase", "it does not open " + locked},
		{"passphrase of an open key", func(o *Options) { o.Passphrase.Passphrase = secret }, "passphrase", "is not encrypted"},
		{"passphrase without a key", func(o *Options) { o.KeyFile, o.Password.Password, o.Passphrase.Passphrase = "", secret, secret }, "passphrase", "add key_file"},
		{"no passphrase in a variable", func(o *Options) { o.KeyFile, o.PassphraseEnv = locked, "UMBRA_TEST_UNSET" }, "passphrase_env", "UMBRA_TEST_UNSET is not set"},
		{"two passphrases", func(o *Options) { o.KeyFile, o.PassphraseEnv, o.PassphraseFile = locked, "HOME", "f" }, "passphrase", "only one of passphrase, passphrase_file and passphrase_env"},
		{"no agent", func(o *Options) { o.Agent = "SSH_AUTH_SOCK" }, "agent", "SSH_AUTH_SOCK is not set"},
		{"no host keys", func(o *Options) { o.KnownHosts = "" }, "known_hosts", "anybody could pass for the server"},
		{"two kinds of host keys", func(o *Options) { o.HostKey = HostKeys{{fingerprint: "SHA256:x"}} }, "host_key", "only one of"},
		{"no known hosts", func(o *Options) { o.KnownHosts = filepath.Join(dir, "missing") }, "known_hosts", "no such file"},
		{"bad known hosts", func(o *Options) { o.KnownHosts = garbage }, "known_hosts", garbage + ":1: "},
	} {
		o := options(t, s)
		tc.change(&o)
		_, err := New(coretest.Env(t), o)
		bad, ok := errors.AsType[*core.OptionError](err)
		if ok != (tc.key != "") || ok && (bad.Key != tc.key || !strings.Contains(err.Error(), tc.text)) || err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v, want the key %q and %q", tc.name, err, tc.key, tc.text)
		}
	}
}
