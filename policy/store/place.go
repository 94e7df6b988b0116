package store

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Place is the location of a policy's state: "memory" (also ""), "file:PATH",
// "redis://:PASSWORD@HOST:PORT/DB", "rediss://…" for Redis over TLS, or
// "unix://:PASSWORD@PATH?db=DB" for Redis on this machine. A Place prints without
// the password.
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
		if _, err := redisOptions(s); err != nil {
			return err
		}
	default: // the text may contain a password, so the error does not quote it
		return fmt.Errorf("unknown store: want %q, %q or %q", "memory", "file:PATH", "redis://HOST:PORT")
	}
	p.text = s
	return nil
}

func isRedis(s string) bool {
	return strings.HasPrefix(s, "redis://") || strings.HasPrefix(s, "rediss://") || strings.HasPrefix(s, "unix://")
}

// String returns the form that UnmarshalText reads, with the password redacted.
func (p Place) String() string {
	if !isRedis(p.text) {
		return p.text
	}
	u, err := url.Parse(p.text)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

// Open returns the store, or nil for memory. Open connects to no server and writes
// no file, so a constructor may call it.
func (p Place) Open(log *slog.Logger) (Store, error) {
	if path, ok := strings.CutPrefix(p.text, "file:"); ok {
		return OpenFile(path, log)
	}
	if isRedis(p.text) {
		return OpenRedis(p.text)
	}
	return nil, nil
}
