package config

import (
	"fmt"
	"log/slog"

	"github.com/umbra-proxy/umbra/core/option"
)

// Log is the [log] table.
type Log struct {
	Level  Level  `toml:"level" default:"info" help:"the least important messages to log: debug, info, warn or error"`
	Format Format `toml:"format" default:"text" help:"the form of a line: text, json, or python, which is that of the Python original"`
}

// Process is the [process] table.
type Process struct {
	Grace option.Duration `toml:"grace" default:"30s" help:"how long a shutdown waits for running connections before it cuts them"`
}

// Admin is the [admin] table.
type Admin struct {
	Socket string `toml:"socket" help:"a Unix socket for commands against the running process, such as umbra ban; only its user may open it"`
}

// Level is a level of log messages. It is a slog.Leveler.
type Level slog.Level

var _ slog.Leveler = Level(0)

// UnmarshalText reads debug, info, warn or error.
func (l *Level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "debug":
		*l = Level(slog.LevelDebug)
	case "info":
		*l = Level(slog.LevelInfo)
	case "warn":
		*l = Level(slog.LevelWarn)
	case "error":
		*l = Level(slog.LevelError)
	default:
		return fmt.Errorf("%q is no level; there are debug, info, warn and error", text)
	}
	return nil
}

// Level returns l as the standard library's type.
func (l Level) Level() slog.Level { return slog.Level(l) }

// Format is the form of log lines.
type Format string

// The formats.
const (
	FormatText   Format = "text"
	FormatJSON   Format = "json"
	FormatPython Format = "python"
)

// UnmarshalText reads one of the formats.
func (f *Format) UnmarshalText(text []byte) error {
	switch Format(text) {
	case FormatText, FormatJSON, FormatPython:
		*f = Format(text)
		return nil
	}
	return fmt.Errorf("%q is no format; there are %s, %s and %s", text, FormatText, FormatJSON, FormatPython)
}
