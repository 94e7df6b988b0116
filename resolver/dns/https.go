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
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// mediaType is the media type of DNS messages (RFC 8484 §6).
const mediaType = "application/dns-message"

// httpsWire queries by DNS over HTTPS (RFC 8484). Queries share one HTTP/2 connection.
type httpsWire struct {
	url       string
	client    *http.Client
	transport *http.Transport
}

// newHTTPS returns the wire to the server at url. dial connects to it by TCP.
func newHTTPS(url string, tlsConfig *tls.Config, dial func(ctx context.Context) (net.Conn, error)) *httpsWire {
	t := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		TLSClientConfig:        tlsConfig,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           4,
		IdleConnTimeout:        idleTimeout,
		TLSHandshakeTimeout:    dialTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		// An idle connection with a running query is checked by a ping.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 2 * time.Second},
	}
	return &httpsWire{url: url, transport: t, client: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
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

func (w *httpsWire) close() { w.transport.CloseIdleConnections() }

// once sends one query by POST.
func (w *httpsWire) once(ctx context.Context, q question, f form) (reply, error) {
	asked, err := newQuery(q, f)
	if err != nil {
		return reply{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(asked.wire))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", mediaType)
	req.Header.Set("User-Agent", "")           // the value would identify the client software
	req.Header["Idempotency-Key"] = []string{} // not sent: allows the transport to retry on a new connection
	resp, err := w.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return reply{}, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	if got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || got != mediaType {
		return reply{}, fmt.Errorf("content type %.60q, want %s", resp.Header.Get("Content-Type"), mediaType)
	}
	msg, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	switch {
	case err != nil:
		return reply{}, err
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
