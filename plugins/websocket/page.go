package websocket

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// A page is an error page in the form of nginx, the most common web server.
type page struct{ status, title, text string }

// The pages.
var (
	notFound   = page{status: "404 Not Found"}
	notAllowed = page{status: "405 Not Allowed"}
	tooLarge   = page{status: "413 Request Entity Too Large"}
	badSyntax  = page{status: "400 Bad Request"}
	badVersion = page{status: "505 HTTP Version Not Supported"}
	badLong    = page{status: "400 Bad Request", title: "400 Request Header Or Cookie Too Large", text: "Request Header Or Cookie Too Large"}
)

// badRequest is the error of a request after which the connection ends. It is a
// core.ErrMalformed.
type badRequest struct {
	page page
	text string
}

func (b *badRequest) Error() string { return fmt.Sprintf("%v: %s", core.ErrMalformed, b.text) }

// Unwrap returns core.ErrMalformed.
func (b *badRequest) Unwrap() error { return core.ErrMalformed }

// pageOptions are what an answer owes to its request.
type pageOptions struct {
	goesOn bool // the connection serves further requests
	noBody bool // the answer to HEAD
	padded bool // for a browser that replaces short pages
}

// padding makes a page long enough for browsers to show it.
const padding = "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"

// head returns the beginning of an answer's header.
func (t *Transport) head(status string) string {
	return "HTTP/1.1 " + status + "\r\nServer: nginx\r\nDate: " + t.now().UTC().Format(http.TimeFormat) + "\r\n"
}

// page returns an answer.
func (t *Transport) page(p page, o pageOptions) string {
	title, text, connection := p.title, "", "close"
	if title == "" {
		title = p.status
	}
	if p.text != "" {
		text = "<center>" + p.text + "</center>\r\n"
	}
	if o.goesOn {
		connection = "keep-alive"
	}
	body := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + p.status + "</h1></center>\r\n" +
		text + "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	if o.padded {
		body += strings.Repeat(padding, 6)
	}
	head := fmt.Sprintf("%sContent-Type: text/html\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n", t.head(p.status), len(body), connection)
	if o.noBody {
		return head
	}
	return head + body
}
