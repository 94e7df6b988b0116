package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/umbra-proxy/umbra/core/option"
)

// Log is the [log] table.
type Log struct {
	Level  Level  `toml:"level" default:"info" help:"the least important messages to log"`
	Format Format `toml:"format" default:"text" help:"the form of a line; python is that of the Python original"`
	Output Output `toml:"output" default:"stderr" help:"where lines go: stderr, syslog, or the path of a file, which is opened again on SIGHUP and when it was renamed"`
	Queue  int    `toml:"queue" default:"4096" min:"16" max:"1048576" help:"how many lines of 512 bytes wait for a slow reader of the log; further ones are dropped and counted"`

	JournalLevels JournalLevels `toml:"journal_levels" default:"auto" help:"auto begins lines with their level where systemd's journal reads them; off never does"`
}

// Process is the [process] table.
type Process struct {
	Grace            option.Duration `toml:"grace" default:"30s" help:"how long a shutdown waits for running connections before it cuts them"`
	MaxLookups       int             `toml:"max_lookups" default:"256" min:"1" max:"65536" help:"how many names the operating system's resolver may look up at once; further ones wait"`
	ClientLookups    int             `toml:"client_lookups" default:"0" min:"0" max:"65536" help:"how many of them may be for one client address, or for one user; 0 for half"`
	AssociationNames int             `toml:"association_names" default:"256" min:"1" max:"65536" help:"how many names one UDP association may have at once; a quarter of them are looked up at once, and each adds 1 KiB of datagrams that may wait"`
	Memory           Memory          `toml:"memory" default:"auto" help:"how much memory the process may use; beyond it new connections are refused. auto: what the control group or the machine has; or unlimited"`

	Include []Pattern `toml:"include" help:"further files with components, rules and pipelines, relative to the file that names them; patterns such as teams/*.toml are sorted"`

	NAT64 []option.NAT64 `toml:"nat64" help:"prefixes of the NAT64 of this machine's network, beside 64:ff9b::/96: an IPv6 address of theirs counts as the IPv4 address inside"`
}

// Admin is the [admin] table.
type Admin struct {
	Socket string `toml:"socket" help:"a Unix socket for commands against the running process, such as umbra ban; only its user may open it"`

	Web       Web      `toml:"web" help:"where metrics, health, the API and the page are served by HTTP; another address than a loopback one needs token_file and cert"`
	TokenFile string   `toml:"token_file" help:"a file with the token that clients of web must have, read again when it changes; /live and /ready need none"`
	Cert      string   `toml:"cert" help:"a PEM file with the certificate of web, and those between it and its CA; read again when it changes"`
	Key       string   `toml:"key" help:"a PEM file with the certificate's key"`
	Hosts     []string `toml:"hosts" help:"names by which browsers may reach web, beside addresses and localhost"`
	Write     bool     `toml:"write" help:"clients of web may change something: end connections, lift bans, choose members, reload"`
	Users     bool     `toml:"users" help:"web shows the names of users, and metrics have series of them"`
	MaxUsers  int      `toml:"max_users" default:"1000" min:"1" max:"100000" help:"how many users have series: those that moved the most"`
	Readers   int      `toml:"readers" default:"64" min:"1" max:"10000" help:"how many clients may read the stream of events at once"`
}

// Web is the address on which [admin] serves HTTP.
type Web struct{ netip.AddrPort }

// Type returns the name of the option type.
func (Web) Type() string { return "address" }

// Example returns an address.
func (Web) Example() string { return "127.0.0.1:9090" }

// UnmarshalText reads an address and a port.
func (w *Web) UnmarshalText(text []byte) error {
	at, err := netip.ParseAddrPort(string(text))
	if err != nil {
		return fmt.Errorf("want an IP address and a port, such as %s, got %.60q", w.Example(), text)
	}
	w.AddrPort = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	return nil
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

// Output is where the log goes: one of the words below, or the path of a file.
type Output string

// The outputs that are no file.
const (
	OutputStderr Output = "stderr"
	OutputSyslog Output = "syslog"
)

// Type returns the name of the option type.
func (Output) Type() string { return "output" }

// Example returns a path.
func (Output) Example() string { return "/var/log/umbra.log" }

// UnmarshalText reads a word, or a path, which has a slash so that it is not a misspelt word.
func (o *Output) UnmarshalText(text []byte) error {
	*o = Output(text)
	if *o == OutputStderr || *o == OutputSyslog || strings.ContainsAny(string(*o), `/\`) {
		return nil
	}
	return fmt.Errorf("want stderr, syslog or a path with a slash, such as /var/log/umbra.log, got %.60q", text)
}

// JournalLevels says when a line begins with its level, as "<4>".
type JournalLevels string

// The choices.
const (
	JournalAuto JournalLevels = "auto"
	JournalOff  JournalLevels = "off"
)

// Values returns the choices.
func (JournalLevels) Values() []string { return []string{string(JournalAuto), string(JournalOff)} }

// UnmarshalText reads one of the choices.
func (j *JournalLevels) UnmarshalText(text []byte) error { return option.ReadWord(j, text, j.Values()) }
