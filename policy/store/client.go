package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/textfile"
)

// checkFiles reads the files that an address names, and warns of a password file that
// others may read.
func (a address) checkFiles(log *slog.Logger) error {
	for _, path := range []string{a.passwordFile, a.sentinelPasswordFile} {
		if path != "" {
			if _, err := (option.Password{PasswordFile: path}).Read(log); err != nil {
				return err
			}
		}
	}
	_, err := a.tlsConfig()
	return err
}

// secret returns the first line of a file, "" for no file.
func secret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	t, err := option.Password{PasswordFile: path}.Read(slog.New(slog.DiscardHandler))
	return t.Reveal(), err
}

// login returns the user and the password. A password file is read for each connection,
// so that a changed one takes effect.
func (a address) login(context.Context) (user, password string, err error) {
	if a.passwordFile == "" {
		return a.user, a.password, nil
	}
	password, err = secret(a.passwordFile)
	return a.user, password, err
}

// tlsConfig returns the configuration of TLS, nil for none.
func (a address) tlsConfig() (*tls.Config, error) {
	if !a.tls {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.serverName}
	if a.caFile == "" {
		return c, nil
	}
	var err error
	if c.RootCAs, err = textfile.Authorities(a.caFile); err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	return c, nil
}

// dial opens a connection to a server, a sentinel or a node.
func (a address) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
	if err != nil || c == nil {
		return conn, err
	}
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(addr) // addr is HOST:PORT: sockets have no TLS
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	over := tls.Client(conn, c)
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		if errors.Is(err, context.DeadlineExceeded) { // Redis waits for more of what it takes for a command
			return nil, fmt.Errorf("TLS handshake with %s: no answer within %s: does the server speak TLS on this port?", addr, answerTimeout)
		}
		return nil, err
	}
	return over, nil
}

// client returns a client of the servers. It connects to none yet.
func (a address) client() (redis.UniversalClient, error) {
	const noRetries = -1 // the caller retries, with all changes made since
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch a.topology {
	case sentinel:
		password, err := secret(a.sentinelPasswordFile)
		if err != nil {
			return nil, err
		}
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: a.master, SentinelAddrs: a.hosts, SentinelUsername: a.sentinelUser, SentinelPassword: password,
			Dialer: a.dial, CredentialsProviderContext: a.login, DB: a.db,
			DialTimeout: dialTimeout, ReadTimeout: answerTimeout, WriteTimeout: answerTimeout, ContextTimeoutEnabled: true,
			DialerRetries: 1, MaxRetries: noRetries, PoolSize: poolSize,
		}), nil
	case cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: a.hosts, Dialer: a.dial, CredentialsProviderContext: a.login,
			DialTimeout: dialTimeout, ReadTimeout: answerTimeout, WriteTimeout: answerTimeout, ContextTimeoutEnabled: true,
			DialerRetries: 1, MaxRetries: noRetries, PoolSize: poolSize, MaintNotificationsConfig: quiet,
		}), nil
	}
	return redis.NewClient(&redis.Options{
		Network: a.network, Addr: a.hosts[0], Dialer: a.dial, CredentialsProviderContext: a.login, DB: a.db,
		DialTimeout: dialTimeout, ReadTimeout: answerTimeout, WriteTimeout: answerTimeout, ContextTimeoutEnabled: true,
		DialerRetries: 1, MaxRetries: noRetries, PoolSize: poolSize, MaintNotificationsConfig: quiet,
	}), nil
}
