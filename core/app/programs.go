package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core/dropin"
)

func (a *app) localCommand() *cobra.Command {
	return a.programCommand(dropin.Program{Name: "sslocal", Style: dropin.Python, Role: dropin.Local},
		"run as sslocal, the local side of other Shadowsocks programs")
}

func (a *app) serverCommand() *cobra.Command {
	return a.programCommand(dropin.Program{Name: "ssserver", Style: dropin.Python, Role: dropin.Server},
		"run as ssserver, the server of other Shadowsocks programs")
}

// programCommand is a command that reads its flags as a program of another family does.
func (a *app) programCommand(p dropin.Program, short string) *cobra.Command {
	return &cobra.Command{
		Use:                   string(p.Role) + " [OPTION]...",
		Short:                 short,
		Example:               fmt.Sprintf("  umbra %s -c config.json\n  umbra %[1]s -c config.json --print-toml", p.Role),
		DisableFlagParsing:    true,
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			style, rest, err := styleOf(args)
			if err != nil {
				fmt.Fprintln(a.Stderr, err)
				return &exit{statusUsage}
			}
			p.Style = style
			return a.program(p, rest)
		},
	}
}

// styleOf returns the style that arguments ask for by --style, and the other arguments.
func styleOf(args []string) (style dropin.Style, rest []string, err error) {
	style = dropin.Python
	for len(args) > 0 && args[0] != "--" {
		word := args[0]
		args = args[1:]
		value, joined := strings.CutPrefix(word, "--style=")
		switch {
		case joined:
		case word == "--style" && len(args) > 0:
			value, args = args[0], args[1:]
		default:
			rest = append(rest, word)
			continue
		}
		style = dropin.Style(value)
		if style != dropin.Python && style != dropin.Libev && style != dropin.Rust {
			return "", nil, fmt.Errorf("--style: want python, libev or rust, got %.40q", value)
		}
	}
	return style, append(rest, args...), nil
}

// program runs a program of another family. Its error is a failure or an exit.
func (a *app) program(p dropin.Program, args []string) error {
	switch p.Style {
	case dropin.Python:
		return a.runPython(p, args)
	case dropin.Libev:
		return a.runLibev(p, args)
	}
	return fail(fmt.Errorf("umbra does not stand in for %s", p.Name))
}

// statusOf reports the error of a program and returns its exit status.
func (a *app) statusOf(err error) int {
	if err == nil {
		return statusOK
	}
	if e, isExit := errors.AsType[*exit](err); isExit {
		return e.status
	}
	if f, isFailure := errors.AsType[*failure](err); isFailure && f.err != nil {
		a.report(f.err)
	}
	return statusFailure
}
