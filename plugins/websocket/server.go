package websocket

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/ending"
)

const (
	maxRequests = 1000    // on one connection, as nginx has it
	maxBody     = 1 << 20 // bytes of a request that is not for us, as nginx has it
)

// Server serves the path to a client, and answers other requests as a web server does that
// has no page at all, until the client sends one for the path or the wire's deadline passes.
//
// It answers what no web server would go on after, and closes wire then, as one would;
// other failures leave wire to the caller.
func (t *Transport) Server(ctx context.Context, wire core.Stream) (core.Stream, error) {
	return bounded(ctx, wire, func() (*stream, error) {
		r := newHeadReader(wire, t.maxHeader)
		var last error // what was wrong with the last request
		for n := 1; ; n++ {
			request, err := r.readRequest()
			if err != nil {
				return nil, t.endRequests(wire, err, last)
			}
			if last = t.checkUpgrade(request); last == nil {
				early := decodeEarly(request.Header.Get(earlyHeader))
				if err := t.acceptUpgrade(wire, request, early != nil); err != nil {
					return nil, err
				}
				return newStream(wire, r.over(wire), server, early), nil
			}
			goesOn, err := t.answerOther(wire, r, request, n < maxRequests)
			if err != nil {
				return nil, err
			}
			if !goesOn {
				ending.Dismiss(wire)
				return nil, last
			}
		}
	})
}

// readRequest reads the header of a request. The error is a badRequest if an answer to it is
// due.
func (r *headReader) readRequest() (*http.Request, error) {
	r.next()
	if err := r.skipEmptyLines(); err != nil {
		return nil, err
	}
	first, err := r.checkStart()
	if err != nil {
		return nil, err
	}
	request, err := http.ReadRequest(r.Reader)
	switch {
	case err == nil:
	case r.exhausted():
		return nil, &badRequest{badLong, fmt.Sprintf("a header of more than %d bytes (max_header)", r.most)}
	case r.cut() != nil:
		return nil, r.cut()
	default:
		return nil, &badRequest{badSyntax, fmt.Sprintf("a request that begins with %q", first)}
	}
	switch {
	case request.ProtoMajor > 1:
		return nil, &badRequest{badVersion, request.Proto}
	case request.ProtoMajor == 1 && request.ProtoMinor > 0 && request.Host == "":
		return nil, &badRequest{badSyntax, "no Host"}
	}
	return request, nil
}

// skipEmptyLines skips the empty lines before a request (RFC 9112 §2.2).
func (r *headReader) skipEmptyLines() error {
	for {
		b, err := r.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != '\r' && b[0] != '\n' {
			return nil
		}
		_, _ = r.Discard(1)
	}
}

// checkStart refuses a request as soon as a byte of its method says that it is not HTTP, as
// web servers do. It returns the beginning of the request.
func (r *headReader) checkStart() (first []byte, err error) {
	for n := 1; n <= maxMethod; n++ {
		if first, err = r.Peek(n); err != nil {
			return nil, cmp.Or(r.cut(), err)
		}
		switch c := first[n-1]; {
		case c == ' ' && n > 1:
			return first, nil
		case c < 'A' || c > 'Z':
			if c != '_' && c != '-' {
				return nil, &badRequest{badSyntax, fmt.Sprintf("a request that begins with %q", first)}
			}
		}
	}
	return first, nil
}

// maxMethod is the length in bytes up to which a method is looked at as it arrives.
const maxMethod = 32

// checkUpgrade returns why a request does not open a WebSocket connection at the path (RFC
// 6455 §4.2.1), or nil.
func (t *Transport) checkUpgrade(r *http.Request) error {
	wrong := ""
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.URL.Path != t.path || r.Method != http.MethodGet:
		return fmt.Errorf("%w: %s %.100q is not served", core.ErrMalformed, r.Method, r.URL.Path)
	case !r.ProtoAtLeast(1, 1):
		wrong = "HTTP/1.0; a proxy before the server must use HTTP/1.1"
	case !hasToken(r.Header, "Upgrade", "websocket") || !hasToken(r.Header, "Connection", "upgrade"):
		wrong = "no upgrade to websocket; a proxy before the server must pass on Upgrade and Connection"
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		wrong = "another version than 13"
	case err != nil || len(key) != 16:
		wrong = "Sec-WebSocket-Key is not 16 bytes in base64"
	case r.ContentLength != 0:
		wrong = "a body"
	default:
		return nil
	}
	return fmt.Errorf("%w: the path was asked for with %s", core.ErrMalformed, wrong)
}

// acceptUpgrade answers a request that opens a WebSocket connection. Browsers, and the proxies
// that check it, want the protocol back that carried early data.
func (t *Transport) acceptUpgrade(wire core.Stream, r *http.Request, early bool) error {
	protocol := ""
	if early {
		protocol = "Sec-WebSocket-Protocol: " + r.Header.Get(earlyHeader) + "\r\n"
	}
	_, err := io.WriteString(wire, t.head("101 Switching Protocols")+
		"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+acceptOf(r.Header.Get("Sec-WebSocket-Key"))+"\r\n"+protocol+"\r\n")
	return err
}

// endRequests answers a bad request, and closes wire then. It returns the error of the
// handshake. last says what was wrong with an earlier request.
func (t *Transport) endRequests(wire core.Stream, err, last error) error {
	bad, ok := errors.AsType[*badRequest](err)
	switch {
	case ok:
		if _, werr := io.WriteString(wire, t.page(bad.page, pageOptions{})); werr != nil {
			return werr
		}
		ending.Dismiss(wire)
		return err
	case last != nil:
		return fmt.Errorf("%w; then: %w", last, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the client closed the connection", core.ErrShort)
	}
	return err
}

// answerOther answers a request that is not for the path, and reads its body. It reports
// whether the connection goes on.
func (t *Transport) answerOther(wire core.Stream, r *headReader, request *http.Request, goesOn bool) (bool, error) {
	o := pageOptions{goesOn: goesOn && !request.Close, noBody: request.Method == http.MethodHead, padded: wantsPadding(request)}
	status := notFound
	switch {
	case request.ContentLength > maxBody:
		status, o.goesOn = tooLarge, false
	case request.Method == http.MethodTrace || request.Method == http.MethodConnect:
		status, o.goesOn = notAllowed, false
	}
	if _, err := io.WriteString(wire, t.page(status, o)); err != nil || !o.goesOn {
		return false, err
	}
	if request.Body == nil || request.Body == http.NoBody {
		return true, nil
	}
	r.limit.N = maxBody
	n, err := io.Copy(io.Discard, io.LimitReader(request.Body, maxBody))
	if err != nil && r.cut() != nil {
		return false, r.cut()
	}
	return err == nil && n < maxBody, nil
}

// wantsPadding reports whether nginx pads an error page for a browser, which would show a
// page of its own in place of a short one.
func wantsPadding(r *http.Request) bool {
	agent := r.UserAgent()
	return strings.Contains(agent, "Chrome/") || strings.Contains(agent, "MSIE ") && !strings.Contains(agent, "Opera")
}
