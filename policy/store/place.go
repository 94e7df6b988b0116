package store

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Place is the location of a policy's state: "memory" (also ""), "file:PATH",
// "redis://:PASSWORD@HOST:PORT/DB", "rediss://…" for Redis over TLS,
// "unix://:PASSWORD@PATH?db=DB" for Redis on this machine,
// "redis+sentinel://:PASSWORD@HOST,HOST/MASTER/DB" for the master that sentinels name, or
// "redis+cluster://:PASSWORD@HOST,HOST" for a cluster. A Place prints without the
// password.
type Place struct{ text string }

// Example returns a place.
func (Place) Example() string { return "redis://127.0.0.1:6379" }

// UnmarshalText reads one of the forms.
func (p *Place) UnmarshalText(text []byte) error {
	s := string(text)
	path, isFile := strings.CutPrefix(s, "file:")
	switch {
	case s == "memory", isFile && path != "":
	case isFile:
		return errors.New(`"file:" has no path: want "file:PATH", such as "file:/var/lib/umbra/bans"`)
	case isRedis(s):
		if _, err := parseAddress(s); err != nil {
			return err
		}
	default: // the text may contain a password, so the error does not quote it
		return fmt.Errorf("unknown store: want %q, %q or %q", "memory", "file:PATH", "redis://HOST:PORT")
	}
	p.text = s
	return nil
}

func isRedis(s string) bool {
	scheme, _, ok := strings.Cut(s, "://")
	_, known := schemes[scheme]
	return ok && known
}

// String returns the form that UnmarshalText reads, with the password redacted.
func (p Place) String() string {
	if !isRedis(p.text) {
		return p.text
	}
	scheme, rest, _ := strings.Cut(p.text, "://")
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	login, _, _ := cutLast(authority, "@") // a valid address has no other @ there
	user, _, hasPassword := strings.Cut(login, ":")
	if !hasPassword || login == authority {
		return p.text
	}
	return scheme + "://" + user + ":xxxxx" + rest[len(login):]
}

// Open returns the store, or nil for memory. Open connects to no server and writes
// no file, so a constructor may call it. It reads the password and certificate files.
func (p Place) Open(log *slog.Logger) (Store, error) {
	if path, ok := strings.CutPrefix(p.text, "file:"); ok {
		return OpenFile(path, log)
	}
	if isRedis(p.text) {
		return OpenRedis(p.text, log)
	}
	return nil, nil
}
