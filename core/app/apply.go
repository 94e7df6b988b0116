package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core/terminal"
	"github.com/umbra-proxy/umbra/core/view"
)

// applyFlags are the flags of the command apply.
type applyFlags struct{ yes, json bool }

func (a *app) applyCommand() *cobra.Command {
	var flags applyFlags
	cmd := &cobra.Command{
		Use:   "apply [FLAGS] FILE",
		Short: "show what an edit of the file changes, then serve it",
		Long: `apply has the process that runs FILE, through the socket of its [admin] table, compare
FILE as it is now with what it serves, and shows the plan: listeners that are kept,
opened and closed, components and pipelines that are added, removed and changed. When
asked, the process serves FILE, or changes nothing if that fails. Running connections
go on under the old file until they end. Mistakes are listed as by check.

Without a terminal nothing is asked, and --yes is needed. With --json nothing is asked
either: the plan is printed, and applied with --yes.

Exit status: 0 if FILE is served, or with --json only compared; 1 if it is not; 2 for
wrong usage.`,
		Example: `  umbra apply server.toml
  umbra apply --yes server.toml`,
		Args:                  exactlyOne("FILE"),
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.askProcess(args[0], func(c *apiClient) error { return a.apply(contextOf(cmd), c, args[0], flags) })
		},
	}
	cmd.Flags().BoolVar(&flags.yes, "yes", false, "apply it without asking")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print the plan as one line of JSON")
	return cmd
}

func (a *app) apply(ctx context.Context, c *apiClient, path string, flags applyFlags) error {
	if err := checkServed(ctx, c, path); err != nil {
		return err
	}
	var change view.Change
	if err := c.do(ctx, http.MethodPost, "/reload/compare", nil, struct{}{}, &change); err != nil {
		return a.mistakes(err)
	}
	switch {
	case flags.json && (!flags.yes || isEmpty(change)):
		return writeApplied(a.Stdout, change, false)
	case flags.json:
	case isEmpty(change):
		writeWarnings(a.Stdout, change)
		_, err := fmt.Fprintf(a.Stdout, "nothing to change: the process serves %s as it is\n", path)
		return err
	default:
		writeChange(a.Stdout, change)
		if err := a.agree(flags.yes); err != nil {
			return err
		}
	}
	err := c.do(ctx, http.MethodPost, "/reload", nil, map[string]string{"digest": change.Digest}, nil)
	switch {
	case hasStatus(err, http.StatusConflict):
		return fmt.Errorf("not applied: %s has changed since the plan was made; run umbra apply again", path)
	case err != nil:
		return a.mistakes(err)
	case flags.json:
		return writeApplied(a.Stdout, change, true)
	}
	_, err = fmt.Fprintln(a.Stdout, "applied")
	return err
}

// checkServed returns an error if the process serves another file than the one at path, as far as
// that can be known: it may see other folders than this command does.
func checkServed(ctx context.Context, c *apiClient, path string) error {
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if path == "-" {
		return errors.New("apply needs the path of the file that the process runs")
	}
	given, err := os.Stat(path)
	served, servedErr := os.Stat(status.File)
	if err == nil && servedErr == nil && !os.SameFile(given, served) {
		return fmt.Errorf("the process at %s runs %s, not %s", c.file.Admin.Socket, status.File, path)
	}
	return nil
}

// isEmpty reports whether nothing changes.
func isEmpty(c view.Change) bool {
	return len(c.Opened)+len(c.Closed)+len(c.Added)+len(c.Removed)+len(c.Changed) == 0
}

// mistakes writes what the process refused, a line each: the mistakes of a file as they are, other
// reasons after the program's name. It returns a failure without a text. Another error is
// returned.
func (a *app) mistakes(err error) error {
	placed := regexp.MustCompile(`:\d+:\d+: `)
	e, ok := errors.AsType[*apiError](err)
	if !ok || e.status != http.StatusUnprocessableEntity {
		return err
	}
	for line := range strings.SplitSeq(strings.TrimRight(e.text, "\n"), "\n") {
		if !placed.MatchString(line) {
			line = "umbra: " + line
		}
		fmt.Fprintln(a.Stderr, shown(line))
	}
	return &failure{}
}

// agree asks on the terminal whether to go on. It returns an error for a no.
func (a *app) agree(yes bool) error {
	if yes {
		return nil
	}
	if !terminal.Is(a.Stdin) {
		return errors.New("not applied: there is no terminal to ask on; add --yes")
	}
	fmt.Fprint(a.Stdout, "apply? y or n: ")
	line, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
		return errors.New("not applied")
	}
	return nil
}

// writeChange writes the plan, a line for each listener, component and pipeline.
func writeChange(w io.Writer, c view.Change) {
	for _, part := range []struct {
		sign, name string
		list       []string
	}{
		{" ", "keep", c.Kept}, {"+", "open", c.Opened}, {"-", "close", c.Closed},
		{"+", "add", c.Added}, {"-", "remove", c.Removed},
	} {
		for _, item := range part.list {
			fmt.Fprintf(w, "%s %-7s %s\n", part.sign, part.name, shown(item))
		}
	}
	for _, d := range c.Changed {
		line := fmt.Sprintf("~ %-7s %s", "change", shown(d.ID))
		if len(d.Options) > 0 {
			line += ": " + shown(strings.Join(d.Options, ", "))
		}
		fmt.Fprintln(w, line)
	}
	writeWarnings(w, c)
}

func writeWarnings(w io.Writer, c view.Change) {
	for _, text := range c.Warned {
		fmt.Fprintf(w, "warning: %s\n", shown(text))
	}
}

func writeApplied(w io.Writer, c view.Change, applied bool) error {
	return json.NewEncoder(w).Encode(struct {
		Applied bool        `json:"applied"`
		Change  view.Change `json:"change"`
	}{applied, c})
}
