package python

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core/dropin"
)

// check says what the original says of a configuration, in its words and its order, and
// returns why it can't be used.
func (c *Call) check() error {
	switch c.Daemon {
	case "", "start", "restart":
	case "stop":
		return nil // needs no configuration
	default:
		return failed(1, "unsupported daemon command: %s; want start, stop or restart", c.Daemon)
	}
	if err := c.checkMissing(); err != nil {
		return err
	}
	c.warn()
	for _, p := range append(c.PortPassword, PortPassword{Password: c.Password}) {
		if p.Password == "mypassword" {
			return failed(1, "DON'T USE DEFAULT PASSWORD! Please change it in your config.json!")
		}
	}
	if c.OneTimeAuth {
		return failed(1, "one-time auth (one_time_auth, -a) is not supported: leave it out, and use chacha20-ietf-poly1305 or another AEAD method at both ends")
	}
	return c.checkLibrary()
}

// checkMissing returns what has to be said and was not.
func (c *Call) checkMissing() error {
	isServer := c.Role == dropin.Server
	if !isServer && len(c.Server) == 0 {
		e := failed(2, "server addr not specified")
		e.Usage = true
		return e
	}
	if isServer {
		for _, text := range c.ForbiddenIP {
			_, implicit, err := network(text)
			if err != nil {
				return failed(2, "%v", err)
			}
			if implicit != "" {
				c.say(slog.LevelWarn, false, "You did't specify CIDR routing prefix size for %s, implicit treated as %s", text, implicit)
			}
		}
	}
	var e *Error
	switch {
	case !isServer && c.Password == "":
		e = failed(2, "password not specified")
	case isServer && c.Password == "" && len(c.PortPassword) == 0 && c.ManagerAddress == "":
		e = failed(2, "password or port_password not specified")
	default:
		return nil
	}
	e.Usage = true
	return e
}

// warn says what is allowed and unwise.
func (c *Call) warn() {
	warn := func(format string, args ...any) { c.say(slog.LevelWarn, false, format, args...) }
	if c.Role != dropin.Server && c.LocalAddress == "0.0.0.0" {
		warn("warning: local set to listen on 0.0.0.0, it's not safe")
	}
	for _, s := range c.Server {
		if s == "127.0.0.1" || s == "localhost" {
			warn("warning: server set to listen on %s:%s, are you sure?", s, joinPorts(c.ServerPort))
			break
		}
	}
	switch strings.ToLower(c.Method) {
	case "table":
		warn("warning: table is not safe; please use a safer cipher, like AES-256-CFB")
	case "rc4":
		warn("warning: RC4 is not safe; please use a safer cipher, like AES-256-CFB")
	}
	if c.Timeout < 100 {
		warn("warning: your timeout %d seems too short", int(c.Timeout))
	}
	if c.Timeout > 600 {
		warn("warning: your timeout %d seems too long", int(c.Timeout))
	}
	if c.Role == dropin.Server && len(c.PortPassword) > 0 && c.Password != "" {
		warn("warning: port_password should not be used with server_port and password. server_port and password will be ignored")
	}
}

// joinPorts returns ports as they are written.
func joinPorts(list []int) string {
	if len(list) == 1 {
		return fmt.Sprint(list[0])
	}
	return strings.ReplaceAll(fmt.Sprint(list), " ", ", ")
}

// checkLibrary returns an error if the library that the original would load for the method
// was named and is not there. Nothing is loaded here, but who names a file expects it to be used.
func (c *Call) checkLibrary() error {
	method := strings.ToLower(c.Method)
	name, path := "libopenssl", c.LibOpenSSL
	switch {
	case strings.HasPrefix(method, "mbedtls:"):
		name, path = "libmbedtls", c.LibMbedTLS
	case strings.Contains(method, "chacha20"), strings.HasPrefix(method, "salsa20"):
		name, path = "libsodium", c.LibSodium
	case method == "table", method == "none":
		return nil
	}
	if path == "" || slices.ContainsFunc([]string{".so", ".dylib", ".dll"}, func(end string) bool {
		return !strings.ContainsAny(path, `/\`) && strings.Contains(path, end)
	}) {
		return nil // a bare name is looked up by the system's loader
	}
	if _, err := os.Stat(path); err != nil {
		return failed(1, "%s: %v; leave it out, no library is needed", name, err)
	}
	return nil
}

// failed returns an Error.
func failed(status int, format string, args ...any) *Error {
	return &Error{Line: Line{Level: slog.LevelError, Text: fmt.Sprintf(format, args...)}, Status: status}
}
