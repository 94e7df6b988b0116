package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// buildFlags are the flags of umbra build.
type buildFlags struct {
	with           []string
	source, output string
	verbose, keep  bool
}

func (a *app) buildCommand() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build --with PACKAGE[@VERSION|=FOLDER]...",
		Short: "make an umbra that has kinds of others too",
		Long: `build makes a program of umbra and of Go packages with kinds of their own. It runs
the go command, in a temporary folder. PACKAGE is an import path. The package has

  func Register(reg *core.Registry)

It comes from a published module, at VERSION or the latest one, or from FOLDER, which
is read and not changed. docs/plugins.md tells how to write one.

The program is run once to see that it starts, and its new kinds are listed. GOOS and
GOARCH choose another system, as for the go command.`,
		Example: `  umbra build --with example.net/mine@v1.2.0
  umbra build --with example.net/mine=./mine --source ../umbra -o ./umbra-mine`,
		Args:                  none,
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.with, "with", nil, "a `package` to take in; may be given several times")
	flags.StringVar(&f.source, "source", "", "the `folder` of a checkout of umbra to build from; else the version of this program")
	flags.StringVarP(&f.output, "output", "o", "", "the `file` to write (default umbra, or umbra.exe)")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show what the go command says as it comes")
	flags.BoolVar(&f.keep, "keep", false, "leave the temporary folder, and tell where it is")
	_ = cmd.RegisterFlagCompletionFunc("with", cobra.NoFileCompletions) // fails for an unknown flag alone
	_ = cmd.MarkFlagDirname("source")
	cmd.RunE = func(*cobra.Command, []string) error {
		plugins, err := parsePlugins(f.with)
		if err != nil {
			return err
		}
		ctx, stop := a.untilSignal()
		defer stop()
		err = a.build(ctx, f, plugins)
		if err != nil && ctx.Err() != nil {
			err = errors.New("build: stopped by a signal")
		}
		return fail(err)
	}
	return cmd
}

// parsePlugins reads all that --with gives.
func parsePlugins(texts []string) ([]plugin, error) {
	if len(texts) == 0 {
		return nil, errors.New("want a --with PACKAGE")
	}
	var all []plugin
	seen := map[string]bool{}
	for _, text := range texts {
		p, err := parsePlugin(text)
		if err != nil {
			return nil, fmt.Errorf("--with %w", err)
		}
		if seen[p.path] {
			return nil, fmt.Errorf("--with %s is given twice", p.path)
		}
		seen[p.path] = true
		all = append(all, p)
	}
	return all, nil
}
