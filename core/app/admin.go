package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/view"
)

const (
	adminPath    = "/command"
	adminTimeout = 10 * time.Second // of a command
	maxCommand   = 64 << 10         // bytes of a request
	maxAnswer    = 256 << 20        // bytes of an answer: a list of very many lines

	maxSocketReaders = 64 // clients of the socket that read events
)

// adminRequest is a command for a component of the running process.
type adminRequest struct {
	Section core.Section `json:"section"` // of the component, such as "policy"
	Name    string       `json:"name"`
	Words   []string     `json:"words"`
	Text    bool         `json:"text,omitempty"` // ask for Text in the place of Result

	Route *routeQuestion `json:"route,omitempty"` // in the place of Words: which branch a request would take
}

// adminAnswer is what it returned. A result that is a fmt.Stringer has a text for
// people; others are in Result even if Text was asked for.
type adminAnswer struct {
	Result json.RawMessage `json:"result,omitempty"`
	Text   string          `json:"text,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// admin takes commands on a Unix socket, which only the user of the process may
// open.
type admin struct {
	path   string
	file   os.FileInfo // of the socket, as it was made
	server *http.Server
	view   *view.Server
	done   chan struct{}
}

// openAdmin begins to take commands.
func openAdmin(path string, e *engine.Engine, source view.Source, log *slog.Logger) (*admin, error) {
	ln, err := listenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, cause(err))
	}
	if l, ok := ln.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(false) // close does it, if the file is still this one
	}
	a := &admin{path: path, done: make(chan struct{})}
	a.file, _ = os.Lstat(path)
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+adminPath, func(w http.ResponseWriter, r *http.Request) { answerCommand(w, r, e, log) })
	a.view = view.New(source, view.Options{Private: true, Write: true, Users: true, MaxUsers: math.MaxInt, Readers: maxSocketReaders, Log: log})
	mux.Handle("/", a.view)
	a.server = newHTTPServer(mux, log)
	go func() {
		defer close(a.done)
		_ = a.server.Serve(ln) // until it is closed
	}()
	return a, nil
}

// close ends the socket. A nil socket is not open.
func (a *admin) close() {
	if a == nil {
		return
	}
	a.leave()
	_ = a.server.Close()
	<-a.done
}

// retire ends the socket while the service goes on: see retire.
func (a *admin) retire() (gone <-chan struct{}) {
	a.leave()
	return retire(a.server, a.done)
}

// leave removes the socket's file, and ends the readers of events.
func (a *admin) leave() {
	if a.isThere() {
		_ = os.Remove(a.path)
	}
	a.view.Close()
}

// isThere reports whether the socket's file is still at its path: somebody may have deleted
// it, or another process may have put its own there.
func (a *admin) isThere() bool {
	now, err := os.Lstat(a.path)
	return err == nil && a.file != nil && os.SameFile(a.file, now)
}

// listenPrivate listens on a socket that no other user may open. What a process that
// was killed has left behind is taken away.
func listenPrivate(path string) (net.Listener, error) {
	if err := takeAway("unix", path); err != nil {
		return nil, err
	}
	return privately(func() (net.Listener, error) { return net.Listen("unix", path) }, path)
}

// takeAway removes a socket on which nobody listens.
func takeAway(network, path string) error {
	if c, err := net.Dial(network, path); err == nil {
		c.Close()
		return errors.New("another process listens there")
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
			_ = os.Remove(path) // else listening says why not
		}
	}
	return nil
}

// answerCommand does one command.
func answerCommand(w http.ResponseWriter, r *http.Request, e *engine.Engine, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(r.Context(), adminTimeout)
	defer cancel()
	var req adminRequest
	var answer adminAnswer
	err := json.NewDecoder(io.LimitReader(r.Body, maxCommand)).Decode(&req)
	if err == nil {
		id := config.ID{Section: req.Section, Name: req.Name}
		var result any
		if req.Route != nil {
			result, err = req.Route.choose(ctx, e, id)
		} else {
			result, err = e.Command(ctx, id, req.Words)
		}
		text, hasText := result.(fmt.Stringer)
		switch {
		case err != nil:
		case req.Text && hasText:
			answer.Text = text.String()
		default:
			answer.Result, err = json.Marshal(result)
		}
		log.Debug("command", slog.String("component", id.String()), slog.Any("words", req.Words), slog.Any("err", err))
	}
	if err != nil {
		answer = adminAnswer{Error: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the program that asked may have gone
}

// cause returns the error of the system under those of net and net/http.
func cause(err error) error {
	if sys, ok := errors.AsType[syscall.Errno](err); ok {
		return sys
	}
	return err
}
