package link

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Link is what an ss:// link says.
type Link struct {
	Server
	Unknown []string // the names of arguments that mean nothing to umbra
	Legacy  bool     // it is of the older form, in which all is base64
}

// scheme is what links begin with, in any case.
const scheme = "ss://"

// Is reports whether a text is meant as a link.
func Is(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme)
}

// Parse reads a link of SIP002 (https://shadowsocks.org/doc/sip002.html) or of the older form.
// It takes what clients and panels write: base64 with and without padding, in either
// alphabet, or plain and percent-encoded, whatever the method is. Its errors say which part is
// wrong, and nothing of the password.
func Parse(text string) (Link, error) {
	text = strings.TrimSpace(text)
	if !Is(text) {
		return Link{}, fmt.Errorf("a link begins with %s", scheme)
	}
	rest, fragment, _ := strings.Cut(text[len(scheme):], "#")
	rest, query, _ := strings.Cut(rest, "?")
	var l Link
	l.Name = unescape(fragment)
	if err := l.arguments(query); err != nil {
		return Link{}, err
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		plain, ok := decode(rest)
		if !ok {
			plain, ok = decode(strings.TrimSuffix(rest, "/"))
		}
		if at = strings.LastIndexByte(plain, '@'); !ok || at < 0 {
			return Link{}, errors.New("no server: after ss:// come user information, an @, and host:port; or all of that in base64")
		}
		l.Legacy = true
		method, password, ok := strings.Cut(plain[:at], ":")
		if !ok {
			return Link{}, errNoPassword
		}
		l.Method, l.Password = method, password
		return l.checked(l.address(plain[at+1:]))
	}
	if err := l.userinfo(rest[:at]); err != nil {
		return Link{}, err
	}
	return l.checked(l.address(strings.TrimSuffix(rest[at+1:], "/")))
}

var errNoPassword = errors.New("user information: want method:password, or that in base64")

func (l Link) checked(err error) (Link, error) {
	switch {
	case err != nil:
		return Link{}, err
	case l.Method == "":
		return Link{}, errors.New("user information: no method before the colon")
	}
	return l, nil
}

// userinfo reads what stands before the last @.
func (l *Link) userinfo(s string) error {
	if method, password, ok := strings.Cut(s, ":"); ok {
		var err, err2 error
		l.Method, err = url.PathUnescape(method)
		l.Password, err2 = url.PathUnescape(password)
		if err != nil || err2 != nil {
			return errors.New("user information: a % that no two hexadecimal digits follow; write %25 for a percent sign")
		}
		return nil
	}
	s, err := url.PathUnescape(s) // some write = as %3D, and the colon as %3A
	if err != nil {
		return errors.New("user information: a % that no two hexadecimal digits follow")
	}
	if plain, ok := decode(s); ok {
		s = plain
	}
	method, password, ok := strings.Cut(s, ":")
	if !ok {
		return errNoPassword
	}
	l.Method, l.Password = method, password
	return nil
}

// address reads the host and the port.
func (l *Link) address(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("server %q: want host:port, and an IPv6 address in brackets", s)
	}
	if host == "" {
		return fmt.Errorf("server %q: no host", s)
	}
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return fmt.Errorf("server %q: %q is no IPv6 address", s, host)
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("server %q: port %q is not from 1 to 65535", s, port)
	}
	l.Host, l.Port = host, int(n)
	return nil
}

// arguments reads what stands behind the question mark.
func (l *Link) arguments(query string) error {
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		switch key = unescape(key); key {
		case "":
		case "plugin":
			text, err := url.PathUnescape(value) // not of a query: a + is one
			if err != nil {
				return errors.New("plugin: a % that no two hexadecimal digits follow")
			}
			if l.Plugin, l.PluginOptions = cutPlugin(text); l.Plugin == "" && text != "" {
				return errors.New("plugin: options and no name; want name;key=value;…")
			}
		default:
			l.Unknown = append(l.Unknown, key)
		}
	}
	return nil
}

// cutPlugin divides name;key=value;… at the first semicolon that no backslash escapes.
func cutPlugin(s string) (name, options string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ';':
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// unescape undoes percent-encoding once; a text that is not encoded stays.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// decode reads base64 of either alphabet, with or without padding.
func decode(s string) (string, bool) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.DecodeString(s)
	return string(b), err == nil && len(b) > 0
}

// String returns the link of a server, as SIP002 has it. A password of the 2022 edition is
// percent-encoded, as that wants it; others are base64.
func (s Server) String() string {
	user := base64.RawURLEncoding.EncodeToString([]byte(s.Method + ":" + s.Password))
	if strings.HasPrefix(s.Method, "2022-") {
		user = escape(s.Method) + ":" + escape(s.Password)
	}
	text := scheme + user + "@" + net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	if s.Plugin != "" {
		plugin := s.Plugin
		if s.PluginOptions != "" {
			plugin += ";" + s.PluginOptions
		}
		text += "/?plugin=" + escape(plugin)
	}
	if s.Name != "" {
		text += "#" + escape(s.Name)
	}
	return text
}

// escape percent-encodes all but letters, digits and -._~ (RFC 3986 §2.3).
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ParseAll reads a list of links, a line each, or such a list in base64, as subscriptions
// without a document of their own are. Empty lines and lines that begin with # are left out.
// Its errors name the lines.
func ParseAll(text string) ([]Link, error) {
	if plain, ok := decode(strings.Join(strings.Fields(text), "")); ok && strings.Contains(plain, scheme) {
		text = plain
	}
	var all []Link
	var errs []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		l, err := Parse(line)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		all = append(all, l)
	}
	if len(all) == 0 && len(errs) == 0 {
		return nil, errors.New("no links")
	}
	return all, errors.Join(errs...)
}
