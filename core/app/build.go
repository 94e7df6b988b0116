package app

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core/build"
)

// buildFlags are the flags of umbra build.
type buildFlags struct {
	build.Options
	with []string
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
	flags.StringVar(&f.Source, "source", "", "the `folder` of a checkout of umbra to build from; else the version of this program")
	flags.StringVarP(&f.Output, "output", "o", "", "the `file` to write (default umbra, or umbra.exe)")
	flags.BoolVarP(&f.Verbose, "verbose", "v", false, "show what the go command says as it comes")
	flags.BoolVar(&f.Keep, "keep", false, "leave the temporary folder, and tell where it is")
	_ = cmd.RegisterFlagCompletionFunc("with", cobra.NoFileCompletions) // fails for an unknown flag alone
	_ = cmd.MarkFlagDirname("source")
	cmd.RunE = func(*cobra.Command, []string) error {
		plugins, err := build.ParsePlugins(f.with)
		if err != nil {
			return err
		}
		ctx, stop := a.untilSignal()
		defer stop()
		err = (&build.Builder{Stdout: a.Stdout, Stderr: a.Stderr, Registry: a.reg}).Build(ctx, f.Options, plugins)
		if err != nil && ctx.Err() != nil {
			err = errors.New("build: stopped by a signal")
		}
		return fail(err)
	}
	return cmd
}
