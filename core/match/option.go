package match

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Target is an entry of a list of targets.
type Target struct{ entry }

// Example returns an entry.
func (Target) Example() string { return "example.org" }

// IsRange reports whether the entry is a range of addresses.
func (t Target) IsRange() bool { return t.kind == network }

// File returns the path of an entry that names a file, or "".
func (t Target) File() string {
	if t.kind != file {
		return ""
	}
	return string(t.text)
}

// UnmarshalText reads an entry in the form of the configuration or a list file.
func (t *Target) UnmarshalText(text []byte) (err error) {
	t.entry, err = parse(bytes.TrimSpace(bytes.Clone(text)))
	return err
}

// String returns the entry in the form that UnmarshalText reads.
func (t Target) String() string {
	switch word := words[t.kind]; {
	case t.kind == network && t.prefix.IsSingleIP():
		return t.prefix.Addr().String()
	case t.kind == network:
		return t.prefix.String()
	case t.kind == below:
		return string(t.text)
	default:
		return word + ":" + string(t.text)
	}
}

// Source is an entry of a list of clients.
type Source struct {
	prefix netip.Prefix
	path   string // of a list file, or "" for a range
}

// Example returns a range of addresses.
func (Source) Example() string { return "10.0.0.0/8" }

// UnmarshalText reads a range of addresses, one address, or "file:PATH".
func (s *Source) UnmarshalText(text []byte) error {
	if path, ok := CutFile(string(text)); ok {
		s.path = path
		return nil
	}
	var p option.Prefix
	err := p.UnmarshalText(text)
	s.prefix = p.Prefix
	return err
}

// String returns the form that UnmarshalText reads.
func (s Source) String() string {
	switch {
	case s.path != "":
		return "file:" + s.path
	case s.prefix.IsSingleIP():
		return s.prefix.Addr().String()
	}
	return s.prefix.String()
}

// CutFile returns the path of an entry of the form "file:PATH".
func CutFile(s string) (path string, ok bool) {
	const word = "file:"
	if len(s) <= len(word) || s[:len(word)] != word {
		return "", false
	}
	return s[len(word):], true
}

// errNested reports a "file:" entry in a list file.
var errNested = errors.New("a file can't name another file")

// NamedUsers returns the users of a list for a description, under the list's key. Those of its
// files may be users of the past.
func NamedUsers(key string, list []string) (all []core.NamedUser) {
	for i, name := range list {
		if _, ok := CutFile(name); !ok {
			all = append(all, core.NamedUser{Key: core.OptionKey(key, strconv.Itoa(i)), Name: name})
		}
	}
	return all
}
