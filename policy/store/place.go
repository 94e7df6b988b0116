package store

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Place says where a policy keeps what it remembers: "memory", which "" means too,
// "file:PATH" or "redis://:PASSWORD@HOST:PORT/DB"; "rediss://…" is that in TLS, and
// "unix://:PASSWORD@PATH?db=DB" on this machine. It prints without the password.
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
	default: // it may have a password
		return fmt.Errorf("unknown store: want %q, %q or %q", "memory", "file:PATH", "redis://HOST:PORT")
	}
	p.text = s
	return nil
}

func isRedis(s string) bool {
	return strings.HasPrefix(s, "redis://") || strings.HasPrefix(s, "rediss://") || strings.HasPrefix(s, "unix://")
}

// String returns the form that UnmarshalText reads, with a password blotted out.
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

// Open returns the store, or nil for memory. It reaches no server and changes
// nothing, so a constructor may call it.
func (p Place) Open(log *slog.Logger) (Store, error) {
	if path, ok := strings.CutPrefix(p.text, "file:"); ok {
		return OpenFile(path, log)
	}
	if isRedis(p.text) {
		return OpenRedis(p.text)
	}
	return nil, nil
}
