package python

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/umbra-proxy/umbra/core/dropin"
)

// Line is a line that a program says of its configuration.
type Line struct {
	Level slog.Level
	Text  string
	Plain bool // without the time, as the original's lines before its log is set up
}

// Error is why a program ends, with its exit status.
type Error struct {
	Line
	Status int
	Usage  bool // the help follows
	Bare   bool // the text has no level
}

func (e *Error) Error() string { return e.Text }

// Call is a program as it was called.
type Call struct {
	dropin.Program
	*Config
	File      string // the path of the JSON file; "" for none
	PrintTOML bool
	Help      bool
	Version   bool
	Lines     []Line // what is to be said

	flags []given
}

type given struct {
	flag
	value string
}

// Read reads the arguments of a program, and the file that they name by read. Its errors are
// of type *Error; Lines are right beside one, too.
func Read(p dropin.Program, args []string, read func(path string) ([]byte, error)) (*Call, error) {
	c := &Call{Program: p, Config: Default()}
	list, table := flagsOf(p.Role)
	if p.Role == dropin.Tunnel {
		list, table = flagsOf(dropin.Local)
	}
	found, _, err := table.Parse(args)
	if err != nil {
		return c, &Error{Line: Line{slog.LevelError, err.Error(), true}, Status: 2, Usage: true, Bare: true}
	}
	for _, g := range found {
		for _, f := range list {
			if f.Flag == g.Flag {
				c.flags = append(c.flags, given{f, g.Value})
			}
		}
	}
	return c, c.load(read)
}

// load applies the file and the flags, in this order.
func (c *Call) load(read func(path string) ([]byte, error)) error {
	path, named := "config.json", false
	for _, f := range c.flags {
		switch {
		case f.Short == 'c':
			path, named = f.value, true
		case f.Short == 'h':
			c.Help = true
			return nil
		case f.Long == "version":
			c.Version = true
			return nil
		case f.Long == "print-toml":
			c.PrintTOML = true
		case f.Long == "tunnel":
			c.Role = dropin.Tunnel
		case f.key == "daemon":
			c.Daemon = f.value
		}
	}
	data, err := read(path)
	switch {
	case err == nil:
		c.File = path
		if err := c.readFile(data); err != nil {
			return err
		}
	case named && c.Daemon != "stop" || !named && !errors.Is(err, fs.ErrNotExist):
		return &Error{Line: Line{slog.LevelError, err.Error(), true}, Status: 1}
	case len(c.flags) == 0:
		return &Error{Line: Line{slog.LevelError, "config not specified", true}, Status: 2, Usage: true}
	}
	for _, f := range c.flags {
		if f.key == "" {
			continue
		}
		if err := c.setFlag(f.flag, f.value); err != nil {
			return &Error{Line: Line{slog.LevelError, err.Error(), true}, Status: 2, Usage: true, Bare: true}
		}
	}
	return c.check()
}

// readFile takes over the keys of the file.
func (c *Call) readFile(data []byte) error {
	c.say(slog.LevelInfo, true, "loading config from %s", c.File)
	unknown, err := c.ReadJSON(data)
	if err != nil {
		return &Error{Line: Line{slog.LevelError, fmt.Sprintf("found an error in %s: %v", c.File, err), true}, Status: 1}
	}
	for _, key := range unknown {
		c.say(slog.LevelWarn, false, "warning: the key %.60q of %s is not known and has no effect", key, c.File)
	}
	return nil
}

func (c *Call) say(level slog.Level, plain bool, format string, args ...any) {
	c.Lines = append(c.Lines, Line{level, fmt.Sprintf(format, args...), plain})
}
