package probe

import "bytes"

// opening is the first message of a client of another protocol.
type opening struct {
	name  string
	quick bool // included in a quick run
	bytes []byte
}

// openings returns first messages of other protocols, and constant bytes that
// belong to no protocol.
func openings() []opening {
	return []opening{
		{"HTTP request", true, []byte("GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n")},
		{"TLS hello", true, tlsHello()},
		{"SSH banner", false, []byte("SSH-2.0-OpenSSH_9.6\r\n")},
		{"SOCKS5 greeting", true, []byte{5, 1, 0}},
		{"SOCKS4 request", false, []byte{4, 1, 0, 80, 192, 0, 2, 1, 0}},
		{"SMTP greeting", false, []byte("EHLO example.com\r\n")},
		{"221 zeros", false, make([]byte, 221)},
		{"221 bytes of 0xff", false, bytes.Repeat([]byte{0xFF}, 221)},
	}
}

// tlsHello returns a complete ClientHello (RFC 8446 §4.1.2) in one record.
func tlsHello() []byte {
	extensions := []byte{
		0, 0, 0, 16, 0, 14, 0, 0, 11, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 'o', 'm', // server_name
		0, 10, 0, 4, 0, 2, 0, 29, // supported_groups: x25519
		0, 13, 0, 6, 0, 4, 4, 3, 8, 4, // signature_algorithms
		0, 43, 0, 3, 2, 3, 4, // supported_versions: TLS 1.3
	}
	extensions = append(extensions, 0, 51, 0, 38, 0, 36, 0, 29, 0, 32) // key_share: x25519
	extensions = append(extensions, noise(32)...)
	hello := append([]byte{3, 3}, noise(32)...)                     // version, random
	hello = append(hello, 0, 0, 6, 0x13, 1, 0x13, 2, 0x13, 3, 1, 0) // no session, suites, no compression
	hello = append(hello, byte(len(extensions)>>8), byte(len(extensions)))
	hello = append(hello, extensions...)
	message := append([]byte{1, 0, byte(len(hello) >> 8), byte(len(hello))}, hello...) // ClientHello
	return append([]byte{22, 3, 1, byte(len(message) >> 8), byte(len(message))}, message...)
}
