package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"time"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/view"
)

const (
	maxSecret    = 1 << 20          // bytes of a token or a certificate file
	checkSecrets = time.Second      // the least time between two looks at these files
	idleClient   = 2 * time.Minute  // of a client of the door
	slowClient   = 10 * time.Second // to send its request
	slowReader   = 2 * time.Minute  // to read the answer, from the request on; a reader of events has its own time
	leastToken   = 16               // bytes
	lastAnswers  = time.Second      // for what is being answered when a door closes
)

// door serves the view by HTTP on the address of [admin] web. A nil door is shut.
type door struct {
	admin  config.Admin
	view   *view.Server
	server *http.Server
	done   chan struct{}
}

// secrets are the files of a door.
type secrets struct {
	token *follow.Value[string]           // nil for none
	cert  *follow.Value[*tls.Certificate] // nil for none
}

// readSecrets reads the files that [admin] names. An error is a config.Problem.
func readSecrets(f *config.File, log *slog.Logger) (s secrets, err error) {
	a := f.Admin
	say := func(what string) func(error) {
		return func(err error) {
			if err != nil {
				log.Warn("changed file of [admin] not usable, keeping what was read before", slog.String("file", what), slog.Any("err", err))
				return
			}
			log.Info("file of [admin] read again", slog.String("file", what))
		}
	}
	if a.TokenFile != "" {
		s.token, err = follow.NewValue(follow.Source[string]{
			Paths: []string{a.TokenFile}, Limit: maxSecret, Every: checkSecrets, Now: time.Now, Reloaded: say(a.TokenFile),
			Make: func(read func(string) ([]byte, error)) (string, error) { return readToken(read, a.TokenFile) },
		})
		if err != nil {
			return s, f.AdminProblem("token_file", err)
		}
	}
	if a.Cert != "" {
		s.cert, err = follow.NewValue(follow.Source[*tls.Certificate]{
			Paths: []string{a.Cert, a.Key}, Limit: maxSecret, Every: checkSecrets, Now: time.Now, Reloaded: say(a.Cert),
			Make: func(read func(string) ([]byte, error)) (*tls.Certificate, error) { return readCertificate(read, a) },
		})
		if err != nil {
			return s, f.AdminProblem("cert", err)
		}
	}
	return s, nil
}

// readToken reads a token, which is the text of a file without the space around it.
func readToken(read func(string) ([]byte, error), path string) (string, error) {
	data, err := read(path)
	if err != nil {
		return "", err
	}
	token := string(bytes.TrimSpace(data))
	if len(token) < leastToken {
		return "", fmt.Errorf("%s: the token has %d bytes; want %d or more, such as the output of `umbra keygen`", path, len(token), leastToken)
	}
	return token, nil
}

func readCertificate(read func(string) ([]byte, error), a config.Admin) (*tls.Certificate, error) {
	cert, err := read(a.Cert)
	if err != nil {
		return nil, err
	}
	key, err := read(a.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", a.Cert, a.Key, err)
	}
	return &pair, nil
}

// openDoor opens the door of a file, which has one, with the files that it names. An error is
// a config.Problem.
func openDoor(f *config.File, s secrets, source view.Source, log *slog.Logger) (*door, error) {
	a := f.Admin
	ln, err := net.Listen("tcp", a.Web.String())
	if err != nil {
		return nil, f.AdminProblem("web", fmt.Errorf("listen on %s: %w", a.Web, cause(err)))
	}
	o := view.Options{
		Hosts: a.Hosts, Write: a.Write, Users: a.Users, MaxUsers: a.MaxUsers, Readers: a.Readers, Secure: s.cert != nil, Log: log,
	}
	if s.token != nil {
		o.Token = s.token.Get
	}
	d := &door{admin: a, view: view.New(source, o), done: make(chan struct{})}
	d.server = newHTTPServer(d.view, log)
	scheme := "http"
	if s.cert != nil {
		scheme = "https"
		ln = tls.NewListener(ln, &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert.Get(), nil },
		})
	}
	go func() {
		defer close(d.done)
		if err := d.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the web of [admin] stopped by itself", slog.Any("err", err))
		}
	}()
	log.Info("metrics, API and page", slog.String("url", scheme+"://"+a.Web.String()+"/"), slog.Bool("write", a.Write), slog.Bool("token", s.token != nil))
	return d, nil
}

// newHTTPServer returns a server with the bounds of a door.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: slowClient, ReadTimeout: 2 * slowClient, WriteTimeout: slowReader, IdleTimeout: idleClient, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// serves reports whether the door is that of a file.
func (d *door) serves(a config.Admin) bool {
	if d == nil {
		return !a.Web.IsValid()
	}
	mine, other := d.admin, a
	mine.Socket, other.Socket = "", ""
	return reflect.DeepEqual(mine, other)
}

// close shuts the door.
func (d *door) close() {
	if d != nil {
		<-d.retire()
	}
}

// retire shuts the door while the service goes on: see retire.
func (d *door) retire() (gone <-chan struct{}) {
	d.view.Close()
	return retire(d.server, d.done)
}

// retire ends a server. Its address is free at once; what is being answered, such as the
// request for the reload that ends the server, has a moment to end, before gone is closed.
// done is closed when the server accepts no more.
func retire(server *http.Server, done <-chan struct{}) (gone <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	}()
	<-done
	return ended
}
