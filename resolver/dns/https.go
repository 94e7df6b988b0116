package dns

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// mediaType is the media type of DNS messages (RFC 8484 §6).
const mediaType = "application/dns-message"

// httpsWire queries by DNS over HTTPS (RFC 8484). Queries share one HTTP/2 connection. A
// query whose connection breaks, or is silent for half of the query's time, is repeated
// on a new connection.
type httpsWire struct {
	url  string
	make func() *http.Transport

	mu      sync.Mutex
	current *httpsClient // guarded by mu
}

// httpsClient is a client with its connection.
type httpsClient struct {
	http.Client
	transport *http.Transport
	answered  atomic.Int64 // when the last answer began, in Unix nanoseconds
}

// newHTTPS returns the wire to the server at url. dial connects to it by TCP.
func newHTTPS(url string, tlsConfig *tls.Config, dial func(ctx context.Context) (net.Conn, error)) *httpsWire {
	w := &httpsWire{url: url, make: func() *http.Transport {
		return &http.Transport{
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			TLSClientConfig:        tlsConfig.Clone(),
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           4,
			IdleConnTimeout:        idleTimeout,
			TLSHandshakeTimeout:    dialTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			// An idle connection with a running query is checked by a ping.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 2 * time.Second},
		}
	}}
	w.current = w.newClient()
	return w
}

func (w *httpsWire) newClient() *httpsClient {
	t := w.make()
	return &httpsClient{transport: t, Client: http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// client returns the current client.
func (w *httpsWire) client() *httpsClient {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}

// renew returns a client with a new connection in the place of old, whose connection is
// dead. Of several queries that find it dead the first makes the new one.
func (w *httpsWire) renew(old *httpsClient) *httpsClient {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current == old {
		w.current = w.newClient()
		old.transport.CloseIdleConnections() // its last query closes it, by its idle timeout at the latest
	}
	return w.current
}

// exchange implements wire.
func (w *httpsWire) exchange(ctx context.Context, q question) (reply, error) {
	r, err := w.once(ctx, q, form{edns: true, pad: true})
	if err != nil || r.rcode != dns.RcodeFormatError && r.rcode != dns.RcodeNotImplemented {
		return r, err
	}
	if again, err := w.once(ctx, q, form{}); err == nil {
		return again, nil
	}
	return r, nil
}

func (w *httpsWire) close() { w.client().transport.CloseIdleConnections() }

// once sends one query, and once more on a new connection if the existing one is dead.
func (w *httpsWire) once(ctx context.Context, q question, f form) (reply, error) {
	asked, err := newQuery(q, f)
	if err != nil {
		return reply{}, err
	}
	c := w.client()
	resp, msg, old, err := w.tryPost(ctx, c, asked)
	if err != nil && old && ctx.Err() == nil {
		resp, msg, err = w.post(ctx, w.renew(c), asked)
	}
	if err != nil {
		return reply{}, err
	}
	return readHTTPS(resp, msg, asked)
}

// tryPost is post, which ends early if it uses an existing connection on which no answer
// arrives for half of the time. old reports whether the connection existed before.
func (w *httpsWire) tryPost(ctx context.Context, c *httpsClient, asked query) (resp *http.Response, msg []byte, old bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var reused atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused.Store(i.Reused) }})
	if deadline, ok := ctx.Deadline(); ok {
		sent := time.Now()
		timer := time.AfterFunc(deadline.Sub(sent)/2, func() {
			if reused.Load() && c.answered.Load() < sent.UnixNano() {
				cancel()
			}
		})
		defer timer.Stop()
	}
	resp, msg, err = w.post(ctx, c, asked)
	return resp, msg, reused.Load(), err
}

// post sends a query by POST and reads the whole answer. An error is one of the
// connection.
func (w *httpsWire) post(ctx context.Context, c *httpsClient, asked query) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(asked.wire))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", mediaType)
	req.Header.Set("User-Agent", "")           // the value would identify the client software
	req.Header["Idempotency-Key"] = []string{} // not sent: allows the transport to retry on a new connection
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	c.answered.Store(time.Now().UnixNano())
	msg, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	return resp, msg, err
}

// readHTTPS reads the answer to a query.
func readHTTPS(resp *http.Response, msg []byte, asked query) (reply, error) {
	if resp.StatusCode != http.StatusOK {
		return reply{}, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	if got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || got != mediaType {
		return reply{}, fmt.Errorf("content type %.60q, want %s", resp.Header.Get("Content-Type"), mediaType)
	}
	switch {
	case len(msg) == maxMessage:
		return reply{}, errors.New("answer of over 65,535 bytes")
	case asked.compare(msg) == stranger:
		return reply{}, errStrange
	}
	r, err := parseReply(msg, len(asked.section))
	if err == nil && r.truncated {
		return reply{}, errors.New("truncated answer over HTTPS")
	}
	r.applyAge(resp.Header.Get("Age"))
	return r, err
}

// applyAge subtracts from all TTLs the time that the message has been in an HTTP cache
// (RFC 8484 §5.1).
func (r *reply) applyAge(age string) {
	seconds, err := strconv.ParseUint(age, 10, 31)
	if err != nil {
		return
	}
	older := func(ttl uint32) uint32 { return ttl - min(ttl, uint32(seconds)) }
	for i := range r.records {
		r.records[i].ttl = older(r.records[i].ttl)
	}
	if r.soa != nil {
		r.soa.ttl, r.soa.minimum = older(r.soa.ttl), older(r.soa.minimum)
	}
}
