package config

import (
	"log/slog"

	"github.com/umbra-proxy/umbra/core/option"
)

// Log is the [log] table.
type Log struct {
	Level  Level  `toml:"level" default:"info" help:"the least important messages to log"`
	Format Format `toml:"format" default:"text" help:"the form of a line; python is that of the Python original"`
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

// Values returns the names of the levels.
func (Level) Values() []string { return []string{"debug", "info", "warn", "error"} }

// UnmarshalText reads one of the names.
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
		return option.WrongWord(string(text), l.Values())
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

// Values returns the formats.
func (Format) Values() []string {
	return []string{string(FormatText), string(FormatJSON), string(FormatPython)}
}

// UnmarshalText reads one of the formats.
func (f *Format) UnmarshalText(text []byte) error { return option.ReadWord(f, text, f.Values()) }
