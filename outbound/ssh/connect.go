package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/umbra-proxy/umbra/core"
)

// errSlow says that a connection was not ready in time.
var errSlow = fmt.Errorf("connect_timeout: %w", context.DeadlineExceeded)

// connect opens a connection to the server over wire, for all requests: it has no client and
// no user. passed is of the request that it is opened for.
func (o *Outbound) connect(ctx context.Context, over core.Dialer, passed *core.Passed) (*session, error) {
	began := time.Now()
	login, err := o.login.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer login.end()
	verifier, err := o.hostKeys.verifier(o.way.Server.String())
	if err != nil {
		return nil, err
	}
	for {
		s, err := o.connectOnce(ctx, over, passed, login, verifier)
		switch {
		case err == nil:
			o.log.Debug("ssh connection opened", slog.String("host_key", verifier.accepted), slog.Duration("took", time.Since(began)))
			return s, nil
		case !verifier.another(err):
			return nil, err
		}
	}
}

// connectOnce is connect with the algorithms that the verifier offers.
func (o *Outbound) connectOnce(ctx context.Context, over core.Dialer, passed *core.Passed, login *login, v *verifier) (*session, error) {
	stream, err := over.DialStream(ctx, &core.Request{
		ID: o.nextID(), Network: core.TCP, Target: o.way.Server, Passed: passed, Flow: new(core.Flow),
	})
	if err != nil {
		return nil, err
	}
	w := newWire(stream)
	stop := context.AfterFunc(ctx, func() { _ = w.end(context.Cause(ctx)) })
	conn, chans, requests, err := ssh.NewClientConn(w, o.way.Server.String(), &ssh.ClientConfig{
		User: o.user, Auth: login.methods, HostKeyCallback: v.check, HostKeyAlgorithms: v.offer,
	})
	if err == nil && !stop() {
		_ = conn.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		stop()
		return nil, o.handshakeError(ctx, w, v, err)
	}
	return newSession(conn, chans, requests, w, o), nil
}

// handshakeError says what the failure of a handshake means.
func (o *Outbound) handshakeError(ctx context.Context, w *wire, v *verifier, err error) error {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "ssh: handshake failed: "), "ssh: ")
	lost := w.loss()
	switch {
	case v.refused != nil:
		return v.refused
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case v.accepted != "" && strings.Contains(text, "authenticat"):
		return fmt.Errorf("%w: the server refuses the login of user %q: %s", core.ErrAuth, o.user, text)
	case lost == io.EOF && v.accepted != "":
		return fmt.Errorf("%w: the server closed the connection during the login of user %q", core.ErrShort, o.user)
	case lost == io.EOF:
		return fmt.Errorf("%w: the server closed the connection before a key exchange; is it an SSH server?", core.ErrShort)
	case strings.Contains(text, "version"):
		return fmt.Errorf("%w: %s; is it an SSH server?", core.ErrMalformed, text)
	case lost != nil && !errors.Is(lost, errBroken):
		return lost
	}
	return errors.New(text)
}
