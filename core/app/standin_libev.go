package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/convert/libev"
	"github.com/umbra-proxy/umbra/core/dropin"
)

// statusLibev is what libev's programs exit with after a failure that is no wrong usage.
const statusLibev = 255

// libevFlags are the flags of a program of shadowsocks-libev, with the letters and names
// that its getopt knows.
func libevFlags(role dropin.Role) dropin.Flags {
	letters := map[dropin.Role]string{
		dropin.Local:   "f:s:p:l:k:t:m:i:c:b:a:n:huUv6A",
		dropin.Server:  "f:s:p:l:k:t:m:b:c:i:d:a:n:huUv6A",
		dropin.Tunnel:  "f:s:p:l:k:t:m:i:c:b:L:a:n:huUv6A",
		dropin.Redir:   "f:s:p:l:k:t:m:c:b:a:n:huUTv6A",
		dropin.Manager: "f:s:p:l:k:t:m:c:i:b:d:a:n:D:6huUvA",
	}[role]
	bare := " fast-open no-delay mptcp reuse-port help print-toml "
	names := "fast-open no-delay mptcp reuse-port help print-toml mtu plugin plugin-opts password" +
		" tcp-incoming-sndbuf tcp-incoming-rcvbuf tcp-outgoing-sndbuf tcp-outgoing-rcvbuf"
	switch role {
	case dropin.Local:
		names += " key acl"
	case dropin.Server:
		names += " key acl manager-address nftables-sets"
	case dropin.Manager:
		names += " acl manager-address executable workdir"
	default:
		names += " key"
	}
	f := dropin.Flags{Permute: true}
	for i, c := range letters {
		if c != ':' {
			flag := dropin.Flag{Short: byte(c)}
			if strings.HasPrefix(letters[i+1:], ":") {
				flag.Value = "VALUE"
			}
			f.List = append(f.List, flag)
		}
	}
	for name := range strings.FieldsSeq(names) {
		flag := dropin.Flag{Long: name}
		if !strings.Contains(bare, " "+name+" ") {
			flag.Value = "VALUE"
		}
		f.List = append(f.List, flag)
	}
	return f
}

// libevCall is a call of one of libev's programs.
type libevCall struct {
	libev.Input
	path        string // of its file; "" for none
	help, print bool
}

// readLibev reads arguments. Without any, the file is the one that libev looks for.
func readLibev(p dropin.Program, args []string) (*libevCall, error) {
	given, _, err := libevFlags(p.Role).Parse(args)
	if err != nil {
		return nil, convert.UsageError{Err: err}
	}
	home, _ := os.UserHomeDir() // without one there is no default
	c := &libevCall{Input: libev.Input{Role: p.Role, Home: home}}
	for _, g := range given {
		switch name := g.Flag.Name(); name {
		case "h", "help":
			c.help = true
		case "print-toml":
			c.print = true
		case "c":
			c.path = g.Value
		default:
			said := "--" + name
			if g.Flag.Long == "" {
				said = "-" + name
			}
			c.Flags = append(c.Flags, convert.Flag{Said: said, Value: g.Value, Bare: g.Flag.Value == ""})
		}
	}
	if len(c.Flags) == 0 && c.path == "" {
		c.path = libevFile(home)
	}
	return c, nil
}

// libevFile returns the file that libev's programs read without arguments, or "".
func libevFile(home string) string {
	folders := []string{"/etc"}
	if home != "" {
		folders = []string{filepath.Join(home, ".config"), "/etc"}
	}
	if xdg := os.Getenv("XDG_CONFIG_HOME"); xdg != "" {
		folders = []string{xdg, "/etc"}
	}
	for _, folder := range folders {
		path := filepath.Join(folder, "shadowsocks-libev", "config.json")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// translate makes the configuration of a call. The file is read anew.
func (c *libevCall) translate(a *app) (*libev.Result, error) {
	in := c.Input
	if c.path != "" {
		data, err := os.ReadFile(c.path)
		if err != nil {
			return nil, fmt.Errorf("invalid config path: %w", err)
		}
		in.Config = data
	}
	r, err := libev.Translate(a.reg, in)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat("/dev/log"); err == nil && r.Launch.PIDFile != "" {
		r.Document.Table("log").Set("output", "syslog") // as libev in the background
	}
	return r, nil
}

// runLibev runs one of the programs of shadowsocks-libev.
func (a *app) runLibev(p dropin.Program, args []string) error {
	call, err := readLibev(p, args)
	if err != nil {
		return a.failLibev(p, err)
	}
	if call.help {
		a.helpLibev(p)
		return nil
	}
	r, err := call.translate(a)
	if err != nil {
		return a.failLibev(p, err)
	}
	if call.print {
		_, err := fmt.Fprint(a.Stdout, r.Document.String())
		return fail(err)
	}
	stand := &standIn{
		served: a.made(p.Name, func() (string, error) {
			r, err := call.translate(a)
			if err != nil {
				return "", err
			}
			return r.Document.String(), nil
		}),
		user:       r.Launch.User,
		background: r.Launch.PIDFile != "",
		daemon:     dropin.Daemon{PidFile: r.Launch.PIDFile},
	}
	for _, n := range r.Report.Notes {
		if n.Fate != "kept" {
			stand.lines = append(stand.lines, fmt.Sprintf("%s %s: %s", n.Key, n.Fate, n.Text))
		}
	}
	return a.failLibev(p, a.stand(stand))
}

// failLibev says why a program ends, as libev does, and returns the exit.
func (a *app) failLibev(p dropin.Program, err error) error {
	if err == nil {
		return nil
	}
	if _, isExit := errors.AsType[*exit](err); isExit {
		return err
	}
	_, isUsage := errors.AsType[convert.UsageError](err)
	if f, isFailure := errors.AsType[*failure](err); isFailure {
		err = f.err
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(a.Stderr, " %s ERROR: %s\n", time.Now().Format(pythonTime), line)
		}
	}
	if isUsage {
		a.helpLibev(p)
		return &exit{statusFailure}
	}
	return &exit{statusLibev}
}

// helpLibev tells how a program is called.
func (a *app) helpLibev(p dropin.Program) {
	fmt.Fprintf(a.Stdout, "usage: %s [OPTION]...\n\nThe flags are those of %[1]s of shadowsocks-libev, and --print-toml,\nwhich prints the configuration of umbra that they make:\n\n ", p.Name)
	for _, f := range libevFlags(p.Role).List {
		name := "-" + string(f.Short)
		if f.Long != "" {
			name = "--" + f.Long
		}
		if f.Value != "" {
			name += " " + f.Value
		}
		fmt.Fprintf(a.Stdout, " [%s]", name)
	}
	fmt.Fprintln(a.Stdout)
}
