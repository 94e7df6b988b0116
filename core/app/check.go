package app

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/plan"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "find the mistakes in a file",
		Long: `check builds all that FILE describes, binds nothing, and lists every mistake as
file:line:column: key: text. "-" is the standard input.

Exit status: 0 if there is none, 1 if there are some, 2 for wrong usage.`,
		Example:               `  umbra check server.toml`,
		Args:                  exactlyOne("FILE"),
		ValidArgsFunction:     completeFile,
		DisableFlagsInUseLine: true,
		RunE:                  func(_ *cobra.Command, args []string) error { return a.check(args[0]) },
	}
}

func (a *app) check(path string) error {
	f, err := a.load(path)
	if err != nil {
		return fail(err)
	}
	a.warn(f)
	log := slog.New(&textHandler{w: plainLines{a.Stderr}, least: slog.LevelWarn})
	if err := engine.Check(a.reg, f, log); err != nil {
		return fail(err)
	}
	if _, err := readSecrets(f, log); err != nil {
		return fail(err)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s: ok (%s, %s)\n", f.Name,
		count(len(f.Pipelines), "pipeline"), count(len(f.Components), "component"))
	return fail(err)
}

func (a *app) explainCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "explain [FLAGS] FILE",
		Short: "draw the pipelines of a file hop by hop",
		Long: `explain draws what happens to a connection in each pipeline of FILE: who is
asked, what is read, where it goes. Nothing is built, so files that FILE names
need not exist. Secrets are left out. "-" is the standard input.`,
		Example: `  umbra explain local.toml
  umbra explain --json local.toml`,
		Args:                  exactlyOne("FILE"),
		ValidArgsFunction:     completeFile,
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := a.load(args[0])
			if err != nil {
				return fail(err)
			}
			a.warn(f)
			p := plan.Of(f)
			if asJSON {
				return fail(p.WriteJSON(a.Stdout))
			}
			return fail(engine.Explain(a.Stdout, p))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "write the same for programs, as JSON")
	return c
}

// warn writes the warnings of a file.
func (a *app) warn(f *config.File) {
	for _, w := range f.Warnings {
		if w.Path == "" {
			w.Text = "warning: " + w.Text
		} else {
			w.Path = "warning: " + w.Path
		}
		fmt.Fprintln(a.Stderr, w.Error())
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
