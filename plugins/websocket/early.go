package websocket

import (
	"encoding/base64"
	"strings"
)

// earlyHeader is the line of a request that carries the first bytes of the stream.
const earlyHeader = "Sec-WebSocket-Protocol"

// encodeEarly returns the value of earlyHeader: base64 of the alphabet for URLs, without
// padding, which is a token of HTTP too.
func encodeEarly(first []byte) string { return base64.RawURLEncoding.EncodeToString(first) }

// oldBase64 changes the form that the first versions of Xray sent.
var oldBase64 = strings.NewReplacer("+", "-", "/", "_", "=", "")

// decodeEarly is the inverse. It returns nil if value is empty or names protocols.
func decodeEarly(value string) []byte {
	first, err := base64.RawURLEncoding.DecodeString(oldBase64.Replace(value))
	if err != nil || len(first) == 0 {
		return nil
	}
	return first
}
