package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// topology is how the servers of an address belong together.
type topology uint8

const (
	single   topology = iota // one server
	sentinel                 // the hosts are sentinels, which name the master
	cluster                  // the hosts are nodes of a cluster
)

// schemes are what an address begins with, before "://".
var schemes = map[string]struct {
	topology
	tls, unix bool
}{
	"redis":           {topology: single},
	"rediss":          {topology: single, tls: true},
	"unix":            {topology: single, unix: true},
	"redis+sentinel":  {topology: sentinel},
	"rediss+sentinel": {topology: sentinel, tls: true},
	"redis+cluster":   {topology: cluster},
	"rediss+cluster":  {topology: cluster, tls: true},
}

// address is a parsed address of Redis servers.
type address struct {
	topology
	tls            bool
	network        string   // "tcp" or "unix"
	hosts          []string // HOST:PORT, or one path of a socket
	user, password string
	master         string // the name that sentinels know it by
	db             int

	passwordFile, sentinelPasswordFile, sentinelUser string
	caFile, serverName                               string
}

const (
	redisPort    = "6379"
	sentinelPort = "26379"
	maxHosts     = 64
)

// errEscape is the error of an address that only an unescaped password explains.
var errEscape = errors.New("invalid Redis address: in a user or a password / ? # @ and % are written %2F %3F %23 %40 and %25; or put the password into a file: ?password_file=PATH")

// parseAddress parses the address of Redis servers. Its errors name what is wrong, and
// contain nothing that may be part of a password.
func parseAddress(text string) (a address, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	s, ok := schemes[scheme]
	if !ok {
		return a, fmt.Errorf("unknown scheme: want %s", strings.Join(slices.Sorted(maps.Keys(schemes)), ", "))
	}
	a.topology, a.tls, a.network = s.topology, s.tls, "tcp"
	if s.unix {
		a.network = "unix"
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	tail := rest[len(authority):]
	path, query, _ := strings.Cut(tail, "?")
	login, hosts, hasLogin := cutLast(authority, "@")
	if !hasLogin {
		login, hosts = "", authority
	}
	if strings.Contains(login, "@") || strings.Contains(tail, "#") || !s.unix && strings.Contains(path, "@") {
		return a, errEscape
	}
	for _, step := range []func() error{
		func() error { return a.readLogin(login) },
		func() error { return a.readHosts(hosts) },
		func() error { return a.readPath(path) },
		func() error { return a.readOptions(query) },
		a.check,
	} {
		if err := step(); err != nil {
			if strings.Contains(tail, "@") { // which may belong to a password
				return address{}, errEscape
			}
			return address{}, err
		}
	}
	return a, nil
}

// cutLast cuts s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
