package store

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// readLogin reads USER:PASSWORD.
func (a *address) readLogin(login string) (err error) {
	user, password, _ := strings.Cut(login, ":")
	if a.user, err = url.PathUnescape(user); err != nil {
		return errEscape
	}
	if a.password, err = url.PathUnescape(password); err != nil {
		return errEscape
	}
	if strings.ContainsFunc(a.user+a.password, isControl) {
		return errors.New("invalid Redis address: the user or the password contains a control character")
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// readHosts reads the hosts, or nothing for a socket.
func (a *address) readHosts(text string) error {
	if a.network == "unix" {
		if text != "" {
			return errors.New(`invalid Redis address: want an absolute path of the socket, as in "unix:///run/redis.sock"`)
		}
		return nil
	}
	hosts := strings.Split(text, ",")
	switch {
	case a.topology == single && len(hosts) > 1:
		return errors.New(`invalid Redis address: several hosts: want "redis+cluster://HOST,HOST" for nodes of a cluster, or "redis+sentinel://HOST,HOST/MASTER" for sentinels`)
	case len(hosts) > maxHosts:
		return fmt.Errorf("invalid Redis address: %d hosts: want at most %d", len(hosts), maxHosts)
	}
	port := redisPort
	if a.topology == sentinel {
		port = sentinelPort
	}
	for _, h := range hosts {
		host, err := parseHost(h, port)
		if err != nil {
			return err
		}
		a.hosts = append(a.hosts, host)
	}
	return nil
}

// parseHost reads HOST, HOST:PORT or [IPv6]:PORT.
func parseHost(text, port string) (string, error) {
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:i], text[i+1:]
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	switch n, err := strconv.ParseUint(port, 10, 16); {
	case bare == "":
		return "", errors.New("invalid Redis address: no host: want redis://[:PASSWORD@]HOST:PORT[/DB]")
	case strings.Contains(bare, ":") && host == bare:
		return "", errors.New(`invalid Redis address: an IPv6 address stands in brackets: "[2001:db8::1]:6379"`)
	case err != nil || n == 0:
		return "", fmt.Errorf("invalid Redis address: the port of %q is not a number from 1 to 65535", bare)
	}
	addr, err := core.ParseAddr(net.JoinHostPort(bare, port))
	if err != nil {
		return "", fmt.Errorf("invalid Redis address: invalid host %q", bare)
	}
	return addr.String(), nil
}

// readPath reads the path of a socket, or the name of a master and the number of a database.
func (a *address) readPath(path string) error {
	if a.network == "unix" {
		socket, err := url.PathUnescape(path)
		if err != nil || socket == "" || socket == "/" || strings.ContainsRune(socket, 0) {
			return errors.New(`invalid Redis address: no path of a socket: want "unix:///run/redis.sock"`)
		}
		a.hosts = []string{socket}
		return nil
	}
	path = strings.Trim(path, "/")
	if a.topology == sentinel {
		a.master, path, _ = strings.Cut(path, "/")
	}
	if path == "" {
		return nil
	}
	return a.readDB(path)
}

// readDB reads the number of a database.
func (a *address) readDB(text string) error {
	const most = 1 << 16 // above any `databases` of a server
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n >= most {
		return fmt.Errorf("invalid Redis address: the database %q is not a number: want one such as 0", text)
	}
	a.db = int(n)
	return nil
}

// readOptions reads what follows the question mark.
func (a *address) readOptions(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("invalid Redis address: the options after ? are not NAME=VALUE, joined by &")
	}
	texts := map[string]*string{"password_file": &a.passwordFile}
	if a.tls {
		texts["ca_file"], texts["server_name"] = &a.caFile, &a.serverName
	}
	if a.topology == sentinel {
		texts["sentinel_user"], texts["sentinel_password_file"] = &a.sentinelUser, &a.sentinelPasswordFile
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		to, known := texts[key]
		switch {
		case len(value) > 1:
			return fmt.Errorf("invalid Redis address: the option %.40q is given twice", key)
		case key == "skip_verify":
			return errors.New("invalid Redis address: skip_verify is not supported, as anybody on the way could read and change bans: give ca_file=PATH, the certificate of its authority or the server's own")
		case key == "db" && a.topology != cluster:
			if err := a.readDB(value[0]); err != nil {
				return err
			}
		case !known && (key == "ca_file" || key == "server_name"):
			return fmt.Errorf("invalid Redis address: %s needs TLS: want a scheme such as rediss://", key)
		case !known:
			names := append(slices.Collect(maps.Keys(texts)), "db")
			return fmt.Errorf("invalid Redis address: unknown option %.40q: want %s", key, strings.Join(slices.Sorted(slices.Values(names)), ", "))
		case value[0] == "" || strings.ContainsFunc(value[0], isControl):
			return fmt.Errorf("invalid Redis address: the option %s has no valid value", key)
		default:
			*to = value[0]
		}
	}
	return nil
}

// check compares the parts with one another.
func (a *address) check() error {
	switch {
	case a.topology == sentinel && a.master == "":
		return errors.New(`invalid Redis address: no name of a master: want "redis+sentinel://HOST,HOST/MASTER[/DB]"`)
	case a.topology == cluster && a.db != 0:
		return errors.New("invalid Redis address: a cluster has database 0 alone")
	case a.password != "" && a.passwordFile != "":
		return errors.New("invalid Redis address: both a password and password_file are given: want one")
	}
	return nil
}
