package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/engine"
)

func (a *app) resolveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resolve FILE NAME",
		Short: "find the addresses of a name as a file's pipelines do",
		Long: `resolve asks each pipeline of FILE for the addresses of NAME and tells who said
so, for how long it holds and how long it took: at first, and right after it from
memory. Nothing is served and nothing is dialled but name servers and what leads
to them. "-" is the standard input.

Exit status: 0 if all that ask on this machine found NAME, 1 if one did not or
FILE is bad, 2 for wrong usage.`,
		Example: `  umbra resolve server.toml example.com`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("want a FILE and a NAME, got %s", count(len(args), "argument"))
			}
			return nil
		},
		ValidArgsFunction:     completeFile,
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, args []string) error { return a.resolve(cmd.Context(), args[0], args[1]) },
	}
}

func (a *app) resolve(ctx context.Context, path, name string) error {
	if _, err := core.NewAddr(name, 0); err != nil {
		return err
	}
	f, err := a.load(path)
	if err != nil {
		return fail(err)
	}
	a.warn(f)
	if ctx == nil {
		ctx = context.Background()
	}
	log := slog.New(&textHandler{w: plainLines{a.Stderr}, least: slog.LevelError})
	all, err := engine.Resolve(ctx, a.reg, f, log, name)
	if err != nil {
		return fail(err)
	}
	missing := false
	for _, r := range all {
		missing = missing || r.Err != nil
		if _, err := fmt.Fprint(a.Stdout, resolution(r)); err != nil {
			return fail(err)
		}
	}
	if missing {
		return &failure{}
	}
	return nil
}

// resolution writes what one pipeline found.
func resolution(r engine.Resolution) string {
	var b strings.Builder
	fmt.Fprintf(&b, "pipeline.%s", r.Pipeline)
	if len(r.Branch) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(r.Branch, ", "))
	}
	fmt.Fprintf(&b, ": %s", r.Finder)
	switch {
	case r.Elsewhere:
		return b.String() + "\n"
	case r.Err != nil:
		fmt.Fprintf(&b, ", in %s\n  %s\n", short(r.Took), strings.ReplaceAll(r.Err.Error(), "\n", "\n  "))
		return b.String()
	}
	fmt.Fprintf(&b, ", in %s; again in %s", short(r.Took), short(r.Again))
	if r.Cached {
		b.WriteString(", from memory")
	}
	b.WriteString("\n")
	width := 0
	for _, found := range r.Found {
		width = max(width, len(found.IP.String()))
	}
	for _, found := range r.Found {
		ttl := "no TTL"
		if found.TTL > 0 {
			ttl = "TTL " + found.TTL.Round(time.Second).String()
		}
		fmt.Fprintf(&b, "  %-*s  %-10s  %s\n", width, found.IP, ttl, cmp.Or(found.From, "from "+r.Finder))
	}
	return b.String()
}

// short returns a duration with three digits or so.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit).String()
}
