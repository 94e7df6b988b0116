// Package python reads what the Python original is given, its flags and its JSON, and makes a
// configuration of umbra out of it.
package python

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Config is what the original's flags and file say. Flags replace keys of the same name.
type Config struct {
	Server         []string // addresses of servers; on a server those it listens on
	ServerPort     []int
	LocalAddress   string
	LocalPort      int
	Password       string
	PortPassword   []PortPassword // in the order of the file
	Method         string
	Timeout        float64 // seconds
	FastOpen       bool
	Workers        int
	Verbose        int
	OneTimeAuth    bool
	ForbiddenIP    []string
	User           string
	ManagerAddress string
	PreferIPv6     bool
	DNSServer      []string
	LibOpenSSL     string
	LibMbedTLS     string
	LibSodium      string
	TunnelRemote   string
	TunnelPort     int
	TunnelTo       int // tunnel_remote_port
	PidFile        string
	LogFile        string
	Daemon         string // start, stop or restart; "" for the foreground

	given []string // the keys, in the order in which they came
}

// PortPassword is a port of a server and its password.
type PortPassword struct {
	Port     int
	Password string
}

// Default returns what holds where nothing is said.
func Default() *Config {
	return &Config{
		ServerPort: []int{8388}, LocalAddress: "127.0.0.1", LocalPort: 1080, Method: "aes-256-cfb", Timeout: 300, Workers: 1,
		ForbiddenIP: []string{"127.0.0.0/8", "::1/128"}, TunnelRemote: "8.8.8.8", TunnelPort: 53, TunnelTo: 53,
		PidFile: "/var/run/shadowsocks.pid", LogFile: "/var/log/shadowsocks.log",
	}
}

// Has reports whether a key was given.
func (c *Config) Has(key string) bool { return slices.Contains(c.given, key) }

// ReadJSON takes over the keys of a file. Keys that the original does not have are returned.
// Its error says what is wrong with the file, on one line.
func (c *Config) ReadJSON(data []byte) (unknown []string, err error) {
	keys, values, err := object(bytes.TrimPrefix(data, []byte("\ufeff")))
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if string(values[key]) == "null" {
			continue
		}
		known, err := c.set(key, values[key])
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", key, err)
		case !known:
			unknown = append(unknown, key)
		case !c.Has(key):
			c.given = append(c.given, key)
		}
	}
	return unknown, nil
}

// object reads a JSON object: its keys in their order, and their values. Of a key that is
// there twice the last value counts.
func object(data []byte) (keys []string, values map[string]json.RawMessage, err error) {
	if err := json.Unmarshal(data, &values); err != nil {
		if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
			line := 1 + bytes.Count(data[:min(int(bad.Offset), len(data))], []byte("\n"))
			return nil, nil, fmt.Errorf("line %d: %w", line, err)
		}
		return nil, nil, errors.New("want an object, as {\"server\": …}")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil { // the brace
		return nil, nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		if k := key.(string); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys, values, nil
}

// set sets a key of the file and reports whether there is one of that name.
func (c *Config) set(key string, value json.RawMessage) (known bool, err error) {
	switch key {
	case "server":
		c.Server, err = texts(value)
	case "server_port":
		c.ServerPort, err = ports(value)
	case "port_password":
		c.PortPassword, err = portPasswords(value)
	case "forbidden_ip":
		var list []string
		if list, err = texts(value); err == nil {
			c.ForbiddenIP = splitList(strings.Join(list, ","))
		}
	case "dns_server":
		c.DNSServer, err = texts(value)
	case "timeout":
		c.Timeout, err = number(value)
	case "fast_open":
		c.FastOpen, err = truth(value)
	case "one_time_auth":
		c.OneTimeAuth, err = truth(value)
	case "prefer_ipv6":
		c.PreferIPv6, err = truth(value)
	default:
		if known, err = c.setNumber(key, value); known {
			return known, err
		}
		return c.setText(key, value)
	}
	return true, err
}

// setNumber is set for keys whose value is a whole number.
func (c *Config) setNumber(key string, value json.RawMessage) (known bool, err error) {
	to, least, most := map[string]*int{
		"local_port": &c.LocalPort, "tunnel_port": &c.TunnelPort, "tunnel_remote_port": &c.TunnelTo, "workers": &c.Workers, "verbose": &c.Verbose,
	}[key], 1, 65535
	if to == nil {
		return false, nil
	}
	if key == "verbose" {
		if v, err := truth(value); err == nil && (string(value) == "true" || string(value) == "false") {
			*to = 0
			if v {
				*to = 1
			}
			return true, nil
		}
		least, most = -100, 100
	}
	n, err := number(value)
	switch {
	case err != nil:
		return true, err
	case n != math.Trunc(n) || n < float64(least) || n > float64(most):
		return true, fmt.Errorf("want a whole number from %d to %d, got %s", least, most, value)
	}
	*to = int(n)
	return true, nil
}

// setText is set for keys whose value is a text.
func (c *Config) setText(key string, value json.RawMessage) (known bool, err error) {
	to := map[string]*string{
		"local_address": &c.LocalAddress, "password": &c.Password, "method": &c.Method, "user": &c.User, "manager_address": &c.ManagerAddress,
		"libopenssl": &c.LibOpenSSL, "libmbedtls": &c.LibMbedTLS, "libsodium": &c.LibSodium, "tunnel_remote": &c.TunnelRemote,
		"pid-file": &c.PidFile, "log-file": &c.LogFile, "daemon": &c.Daemon,
	}[key]
	if to == nil {
		return false, nil
	}
	*to, err = text(value)
	return true, err
}

// text reads a string. A number stands for its digits.
func text(value json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s, nil
	}
	var n json.Number
	if json.Unmarshal(value, &n) == nil {
		return n.String(), nil
	}
	return "", fmt.Errorf("want a string, got %.40s", value)
}

// texts reads a string or a list of strings.
func texts(value json.RawMessage) ([]string, error) {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		list = []json.RawMessage{value}
	}
	found := make([]string, 0, len(list))
	for _, v := range list {
		s, err := text(v)
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

// number reads a number, which may be in quotes.
func number(value json.RawMessage) (float64, error) {
	s, err := text(value)
	if err != nil {
		return 0, fmt.Errorf("want a number, got %.40s", value)
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("want a number, got %.40q", s)
	}
	return n, nil
}

// truth reads true or false, or what Python takes for them.
func truth(value json.RawMessage) (bool, error) {
	var b bool
	if json.Unmarshal(value, &b) == nil {
		return b, nil
	}
	s, err := text(value)
	if err != nil {
		return false, fmt.Errorf("want true or false, got %.40s", value)
	}
	return s != "" && s != "0" && s != "false", nil
}

// ports reads a port or a list of ports.
func ports(value json.RawMessage) ([]int, error) {
	list, err := texts(value)
	if err != nil {
		return nil, err
	}
	var found []int
	for _, s := range list {
		p, err := port(s)
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	if len(found) == 0 {
		return nil, errors.New("an empty list; want a port")
	}
	return found, nil
}

// port reads a port.
func port(s string) (int, error) {
	p, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || p < 1 || p > 65535 {
		return 0, fmt.Errorf("want a port from 1 to 65535, got %.40q", s)
	}
	return p, nil
}

// portPasswords reads an object of ports and their passwords.
func portPasswords(value json.RawMessage) ([]PortPassword, error) {
	keys, values, err := object(value)
	if err != nil {
		return nil, errors.New(`want an object of ports and passwords, as {"8381": "password"}`)
	}
	var found []PortPassword
	for _, key := range keys {
		p, err := port(key)
		if err != nil {
			return nil, err
		}
		password, err := text(values[key])
		if err != nil {
			return nil, fmt.Errorf("the password of port %d: %w", p, err)
		}
		if password == "" {
			return nil, fmt.Errorf("port %d has an empty password", p)
		}
		found = append(found, PortPassword{p, password})
	}
	return found, nil
}

// splitList returns the parts of a list with commas that are not empty.
func splitList(s string) []string {
	list := []string{}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
