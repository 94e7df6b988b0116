package httpproxy

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/umbra-proxy/umbra/core"
)

// request is a request to the proxy.
type request struct {
	head
	method  string
	connect bool
	target  core.Addr
	origin  string // the target in the form for the origin server: "/path"
	host    string // as written in the request's target
	old     bool   // HTTP/1.0
	stays   bool   // the client keeps the connection
	upgrade bool
	body    body
}

// refusal is the error of a request that is answered with a status.
type refusal struct {
	status int
	cause  error
}

func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.cause }

func bad(status int, format string, args ...any) error {
	return &refusal{status, fmt.Errorf("request: %w: "+format, append([]any{core.ErrMalformed}, args...)...)}
}

// parseRequest reads a request out of its head.
func parseRequest(h head) (r request, err error) {
	words := strings.Split(h.first, " ")
	if len(words) != 3 || !httpguts.ValidHeaderFieldName(words[0]) || words[1] == "" {
		return r, bad(400, "the first line %.40q", h.first)
	}
	r = request{head: h, method: words[0], connect: words[0] == "CONNECT"}
	switch words[2] {
	case "HTTP/1.1":
	case "HTTP/1.0":
		r.old = true
	default:
		return r, bad(505, "version %.20q", words[2])
	}
	if len(h.all("Host")) > 1 {
		return r, bad(400, "Host twice")
	}
	if r.connect {
		err = r.authority(words[1], "")
	} else {
		err = r.absolute(words[1])
	}
	if err != nil {
		return r, err
	}
	closes := h.has("Connection", "close") || h.has("Proxy-Connection", "close")
	r.stays = !closes && (!r.old || h.has("Connection", "keep-alive") || h.has("Proxy-Connection", "keep-alive"))
	r.upgrade = !r.old && h.has("Connection", "upgrade") && len(h.all("Upgrade")) == 1
	if r.body, err = h.frame(noBody); err != nil {
		return r, &refusal{400, err}
	}
	if r.body.framing == byChunks && r.old {
		return r, bad(400, "Transfer-Encoding in HTTP/1.0")
	}
	return r, nil
}

// absolute reads a target in absolute form (RFC 9112 §3.2.2).
func (r *request) absolute(uri string) error {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return bad(400, "the target %.40q; a proxy is asked for http://HOST/PATH", uri)
	}
	if !strings.EqualFold(scheme, "http") {
		return bad(501, "the scheme %.20q; other than http needs CONNECT", scheme)
	}
	at := strings.IndexAny(rest, "/?#")
	if at < 0 {
		at = len(rest)
	}
	r.origin = rest[at:]
	switch {
	case strings.Contains(r.origin, "#"):
		return bad(400, "a fragment in the target")
	case r.origin == "" && r.method == "OPTIONS":
		r.origin = "*"
	case r.origin == "" || r.origin[0] == '?':
		r.origin = "/" + r.origin
	}
	return r.authority(rest[:at], "80")
}

// authority reads host and port.
func (r *request) authority(s, port string) (err error) {
	r.host = s
	if strings.Contains(s, "@") {
		return bad(400, "a user in the target")
	}
	if colon := strings.LastIndexByte(s, ':'); port != "" && (colon < 0 || strings.HasSuffix(s, "]")) {
		s += ":" + port
	} else if port != "" && colon == len(s)-1 {
		s += port
	}
	if r.target, err = core.ParseAddr(s); err != nil {
		return &refusal{400, fmt.Errorf("request: %w", err)}
	}
	if r.target.Port() == 0 {
		return bad(400, "port 0 in target %s", r.target)
	}
	return nil
}

// login returns the name and password of the request, and false if it has none.
func (r *request) login() (name, password string, ok bool) {
	values := r.all("Proxy-Authorization")
	if len(values) != 1 {
		return "", "", false
	}
	scheme, code, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(code))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(plain), ":")
}

// forward returns the head for the origin server.
func (r *request) forward() []byte {
	h := r.head
	h.fields = nil
	for _, f := range r.fields {
		if !f.is("Host") {
			h.fields = append(h.fields, f)
		}
	}
	version, connection := "HTTP/1.1", "Connection: close"
	if r.old {
		version = "HTTP/1.0"
	}
	if r.upgrade {
		connection = "Connection: Upgrade"
	}
	return h.append(nil, r.method+" "+r.origin+" "+version, r.upgrade, "Host: "+r.host, connection)
}
