package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/view"
)

const (
	apiPath   = "/api/v1"
	pageLimit = 100_000   // entries of a list that are asked for at once: what the process tells at most
	maxEvent  = 64 << 20  // bytes of an event
	maxList   = 1_000_000 // live connections that a command looks at
)

// apiClient asks the running process of a file through the API on its [admin] socket.
type apiClient struct {
	file *config.File
	http *http.Client
}

// newAPIClient returns a client of the process that runs a file. The caller closes it.
func newAPIClient(f *config.File) (*apiClient, error) {
	if f.Admin.Socket == "" {
		return nil, errNoSocket(f)
	}
	return &apiClient{f, &http.Client{Transport: adminTransport(f)}}, nil
}

// adminTransport connects to the [admin] socket of a file, whatever the URL.
func adminTransport(f *config.File) *http.Transport {
	dialer := net.Dialer{}
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", f.Admin.Socket)
		},
	}
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

// apiError is an answer other than a success.
type apiError struct {
	status int
	text   string // of the view.Problem; mistakes in a file have a line each
}

func (e *apiError) Error() string { return e.text }

// hasStatus reports whether err is an answer with that status.
func hasStatus(err error, status int) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.status == status
}

// get reads a resource into a value.
func (c *apiClient) get(ctx context.Context, path string, query url.Values, into any) error {
	return c.do(ctx, http.MethodGet, path, query, nil, into)
}

// do sends a request. body is sent as JSON unless it is nil; the answer is read into a value
// unless that is nil.
func (c *apiClient) do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 3*adminTimeout)
	defer cancel()
	resp, err := c.send(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return nil
}

// send sends a request and returns the answer, if that is a success. The caller closes its
// body.
func (c *apiClient) send(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	at := url.URL{Scheme: "http", Host: "umbra", Path: apiPath + path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, errNotReached(c.file, err)
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, c.problem(resp)
	}
	return resp, nil
}

// problem returns what an answer other than a success says.
func (c *apiClient) problem(resp *http.Response) error {
	var p view.Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&p); err != nil || p.Error == "" {
		if resp.StatusCode == http.StatusNotFound {
			return fmt.Errorf("the running process at %s does not know %s: is it of an older version? restart it", c.file.Admin.Socket, resp.Request.URL.Path)
		}
		return fmt.Errorf("the running process at %s answered %s to %s", c.file.Admin.Socket, resp.Status, resp.Request.URL.Path)
	}
	return &apiError{resp.StatusCode, p.Error}
}

// connections returns the live connections that match, page by page. Each is in it once,
// though others end between two pages.
func (c *apiClient) connections(ctx context.Context, query url.Values) ([]view.Connection, error) {
	var all []view.Connection
	seen := map[uint64]bool{}
	for offset := 0; offset < maxList; {
		query.Set("limit", strconv.Itoa(pageLimit))
		query.Set("offset", strconv.Itoa(offset))
		var page view.Connections
		if err := c.get(ctx, "/connections", query, &page); err != nil {
			return nil, err
		}
		for _, conn := range page.List {
			if !seen[conn.ID] {
				seen[conn.ID] = true
				all = append(all, conn)
			}
		}
		offset += len(page.List)
		if len(page.List) == 0 || offset >= page.Total {
			break
		}
	}
	return all, nil
}

// cut ends a live connection. It returns an error with the status 404 if there is none.
func (c *apiClient) cut(ctx context.Context, id uint64) error {
	return c.do(ctx, http.MethodDelete, "/connections/"+strconv.FormatUint(id, 10), nil, nil, nil)
}

// events passes the events of the process on until the context ends, the process closes the
// stream, or a function returns an error. begin is called once the process has begun to send.
func (c *apiClient) events(ctx context.Context, query url.Values, begin func() error, handle func(event string, data []byte) error) error {
	resp, err := c.send(ctx, http.MethodGet, "/events", query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := begin(); err != nil {
		return err
	}
	err = readEvents(resp.Body, handle)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET): // a process that was killed
		return nil
	}
	return err
}

// readEvents reads server-sent events until the end. See
// https://html.spec.whatwg.org/multipage/server-sent-events.html.
func readEvents(r io.Reader, handle func(event string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	event, data := "", []byte(nil)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if len(data) > 0 {
				if err := handle(event, data); err != nil {
					return err
				}
			}
			event, data = "", nil
		case field == "event":
			event = value
		case field == "data":
			if len(data) > 0 {
				data = append(data, '\n')
			}
			data = append(data, value...)
		}
	}
	return lines.Err()
}
