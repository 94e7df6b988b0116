package httpproxy

import (
	"fmt"
	"net/http"

	"github.com/umbra-proxy/umbra/core"
)

// statusOf returns the status for a request whose target could not be reached.
func statusOf(cause error) int {
	switch core.ReasonOf(cause) {
	case "denied":
		return http.StatusForbidden
	case "timeout":
		return http.StatusGatewayTimeout
	case "crowded", "shutdown":
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// reply returns an answer of the proxy itself. Its text is the reason in one word, since an
// error may tell of servers that are none of the client's business.
func reply(status int, stays bool, cause error) []byte {
	text := fmt.Sprintf("umbra: %d %s: %s\n", status, http.StatusText(status), core.ReasonOf(cause))
	connection, more := "close", ""
	if stays {
		connection = "keep-alive"
	}
	if status == http.StatusProxyAuthRequired {
		more = "Proxy-Authenticate: Basic realm=\"umbra\", charset=\"UTF-8\"\r\n"
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s",
		status, http.StatusText(status), more, len(text), connection, text)
}
