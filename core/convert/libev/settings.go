package libev

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/dropin"
)

// setting is what a flag or a key of the file says.
type setting struct {
	said   string // "-t", "--acl" or "timeout"
	values []any  // of a flag that was given several times all; of a key one
}

// settings are the flags and the keys of the file. A flag goes before a key.
type settings struct {
	by    map[string]*setting // by the key's name
	order []string
	noted map[string]bool
	convert.Report
}

// read takes the flags, and then what the file says beside them.
func read(in Input) (*settings, error) {
	s := &settings{by: map[string]*setting{}, noted: map[string]bool{}}
	for _, f := range in.Flags {
		key, value := keyOf(f), any(f.Value)
		switch f.Said {
		case "-u":
			key, value = "mode", "tcp_and_udp"
		case "-U":
			key, value = "mode", "udp_only"
		default:
			if f.Bare {
				value = true
			}
		}
		if old := s.by[key]; old != nil && key == "server" {
			old.values = append(old.values, value)
			continue
		}
		s.set(key, f.Said, value)
	}
	if in.Config == nil {
		return s, nil
	}
	fields, err := convert.Fields(convert.Strict(in.Config, false))
	if err != nil {
		return nil, fmt.Errorf("invalid config file: %w", err)
	}
	for _, f := range fields {
		var value any
		d := json.NewDecoder(strings.NewReader(string(f.Value)))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("invalid config file: %s: %w", f.Key, err)
		}
		if old := s.by[f.Key]; old != nil && strings.HasPrefix(old.said, "-") {
			// libev: a mode of the file other than tcp_only goes before -u and -U
			if f.Key != "mode" || value == "tcp_only" {
				s.Drop(f.Key, "the flag %s says it", old.said)
				continue
			}
			s.Drop(old.said, "the file's mode goes before it, as in libev")
		}
		s.set(f.Key, f.Key, value)
	}
	return s, nil
}

func (s *settings) set(key, said string, value any) {
	if s.by[key] == nil {
		s.order = append(s.order, key)
	}
	s.by[key] = &setting{said, []any{value}}
}

// has reports whether a key is there and says something.
func (s *settings) has(key string) bool { return s.by[key] != nil && s.by[key].values[0] != nil }

// said returns how a key was said, for messages.
func (s *settings) said(key string) string {
	if st := s.by[key]; st != nil {
		return st.said
	}
	return key
}

// keep, change and drop note what became of a key that is there.
func (s *settings) keep(key, format string, args ...any)   { s.fate(key, s.Keep, format, args) }
func (s *settings) change(key, format string, args ...any) { s.fate(key, s.Change, format, args) }
func (s *settings) drop(key, format string, args ...any)   { s.fate(key, s.Drop, format, args) }

func (s *settings) fate(key string, note func(string, string, ...any), format string, args []any) {
	if s.by[key] == nil || s.noted[key] {
		return
	}
	s.noted[key] = true
	note(s.by[key].said, format, args...)
}

// text returns a key's text, or "". Numbers are texts too, as in libev.
func (s *settings) text(key string) (string, error) {
	if !s.has(key) {
		return "", nil
	}
	text, ok := textOf(s.by[key].values[0])
	if !ok {
		return "", fmt.Errorf("invalid config file: option '%s' must be a string", s.said(key))
	}
	return text, nil
}

func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// texts returns a key's list of texts.
func (s *settings) texts(key string) ([]string, error) {
	if !s.has(key) {
		return nil, nil
	}
	var all []string
	for _, value := range s.by[key].values {
		items, isList := value.([]any)
		if !isList {
			items = []any{value}
		}
		for _, item := range items {
			text, ok := textOf(item)
			if !ok {
				return nil, fmt.Errorf("invalid config file: option '%s' must be a string or a list of them", s.said(key))
			}
			all = append(all, text)
		}
	}
	return all, nil
}

// number returns a number between bounds, or other if the key is not there.
func (s *settings) number(key string, other, least, most int) (int, error) {
	text, err := s.text(key)
	if err != nil || text == "" {
		return other, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s: %q is no number from %d to %d", s.said(key), text, least, most)
	}
	return n, nil
}

// on returns a switch.
func (s *settings) on(key string) (bool, error) {
	if !s.has(key) {
		return false, nil
	}
	on, ok := s.by[key].values[0].(bool)
	if !ok {
		return false, fmt.Errorf("invalid config file: option '%s' must be a boolean", s.said(key))
	}
	return on, nil
}

// rest notes the keys of which nothing was said yet.
func (s *settings) rest(role dropin.Role) {
	for _, key := range s.order {
		if s.noted[key] {
			continue
		}
		if !known(key) {
			s.drop(key, "shadowsocks-libev does not know it")
			continue
		}
		s.drop(key, "ss-%s does not use it", role)
	}
}
