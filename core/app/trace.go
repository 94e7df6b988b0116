package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core/terminal"
	"github.com/umbra-proxy/umbra/core/view"
)

const (
	defaultLast = 20
	maxLast     = 1000 // what the process tells at most
)

// traceFlags are the flags of the command trace.
type traceFlags struct {
	viewFlags
	failed, follow, json, addresses bool
	last                            int
}

func (a *app) traceCommand() *cobra.Command {
	var flags traceFlags
	cmd := &cobra.Command{
		Use:   "trace [FLAGS] FILE",
		Short: "show how the last connections went, step by step",
		Long: `trace asks the process that runs FILE, through the socket of its [admin] table, for the
last connections that have ended, and shows each with its steps: when each began, how
long it took and what came of it. The process keeps some hundred of each pipeline, with
all that failed. Addresses of clients are cut to their network without --addresses.`,
		Example: `  umbra trace server.toml --user alice
  umbra trace server.toml --failed --follow`,
		Args:                  exactlyOne("FILE"),
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.last < 1 || flags.last > maxLast {
				return fmt.Errorf("want --last from 1 to %d, got %d", maxLast, flags.last)
			}
			return a.askProcess(args[0], func(c *apiClient) error {
				if err := flags.check(c.file); err != nil {
					return err
				}
				return a.trace(contextOf(cmd), c, flags)
			})
		},
	}
	flags.add(a, cmd, "pipeline", "user", "outbound", "text")
	cmd.Flags().BoolVar(&flags.failed, "failed", false, "those that did not end in order")
	cmd.Flags().BoolVar(&flags.follow, "follow", false, "go on with those that end from now on")
	cmd.Flags().BoolVar(&flags.addresses, "addresses", false, "show whole addresses of clients")
	cmd.Flags().IntVar(&flags.last, "last", defaultLast, "show the last `N`")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print a line of JSON for each")
	return cmd
}

// query returns the flags as the API takes them.
func (f *traceFlags) query() url.Values {
	q := f.viewFlags.query()
	if f.failed {
		q.Set("failed", "true")
	}
	if f.addresses {
		q.Set("whole", "true")
	}
	return q
}

// tracer prints journeys, each once.
type tracer struct {
	client *apiClient
	query  url.Values
	last   uint64 // the number of the last one that was printed
	print  func(view.Journey) error
}

func (a *app) trace(ctx context.Context, c *apiClient, flags traceFlags) error {
	t := &tracer{client: c, query: flags.query(), print: func(j view.Journey) error {
		return writeJourney(a.Stdout, j, terminal.Coloured(a.Stdout))
	}}
	if flags.json {
		t.print = func(j view.Journey) error { return json.NewEncoder(a.Stdout).Encode(j) }
	}
	if flags.follow {
		return t.follow(ctx, flags.last)
	}
	n, err := t.more(ctx, flags.last)
	if err == nil && n == 0 && !flags.json {
		_, err = fmt.Fprintln(a.Stdout, "no connection has ended that matches")
	}
	return err
}

// more prints what came since the last one, at most limit, and returns how many these were.
func (t *tracer) more(ctx context.Context, limit int) (int, error) {
	t.query.Set("limit", strconv.Itoa(limit))
	t.query.Set("after", strconv.FormatUint(t.last, 10))
	var list []view.Journey
	if err := t.client.get(ctx, "/journeys", t.query, &list); err != nil {
		return 0, err
	}
	for i, j := range list {
		if err := t.print(j); err != nil {
			return i, err
		}
		t.last = max(t.last, j.Number)
	}
	return len(list), nil
}

// follow prints the last journeys and those that follow, until the process ends. The stream begins
// before the list is asked for, so none is missed between the two.
func (t *tracer) follow(ctx context.Context, last int) error {
	query := maps.Clone(t.query)
	query.Set("journeys", "1")
	begin := func() error {
		_, err := t.more(ctx, last)
		return err
	}
	err := t.client.events(ctx, query, begin, func(event string, data []byte) error {
		if event != "journey" {
			return nil
		}
		var j view.Journey
		if err := json.Unmarshal(data, &j); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if j.Number <= t.last { // it was in the list
			return nil
		}
		t.last = j.Number
		return t.print(j)
	})
	if err == nil {
		return errors.New("the running process has ended the stream: it stopped, its socket changed, or more ended than could be printed")
	}
	return err
}
