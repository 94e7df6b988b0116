package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/terminal"
	"github.com/umbra-proxy/umbra/core/top"
	"github.com/umbra-proxy/umbra/core/view"
)

// topFlags are the flags of the command top.
type topFlags struct {
	by, sort, filter string
	once, json       bool
}

func (a *app) topCommand() *cobra.Command {
	var flags topFlags
	cmd := &cobra.Command{
		Use:   "top [FLAGS] FILE",
		Short: "watch the connections of the running process",
		Long: `top asks the process that runs FILE, through the socket of its [admin] table, once a
second what it does, and shows connections and rates. Where the output is not a
terminal, it prints them once, after a second.

  p u o c      group by pipeline, user, outbound, or not at all: connections
  s left right sort by rate, total or connections
  up down      select a row
  k            end the connection of the row, or all of its connections; asks first
  /            show rows that contain a text; escape shows all
  q            quit`,
		Example: `  umbra top server.toml
  umbra top server.toml --by user --once`,
		Args:                  exactlyOne("FILE"),
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.options()
			if err != nil {
				return err
			}
			return a.askProcess(args[0], func(c *apiClient) error {
				screen, isFile := a.Stdout.(*os.File)
				if flags.once || flags.json || !isFile || !terminal.Is(screen) {
					return a.topOnce(contextOf(cmd), c, o, flags.json)
				}
				return a.topScreen(c, screen, o)
			})
		},
	}
	cmd.Flags().StringVar(&flags.by, "by", string(top.ByPipeline), "group by `WHAT`: pipeline, user, outbound or connection")
	cmd.Flags().StringVar(&flags.sort, "sort", string(top.ByRate), "sort by `WHAT`: rate, total or connections")
	cmd.Flags().StringVar(&flags.filter, "filter", "", "show rows that contain `TEXT`")
	cmd.Flags().BoolVar(&flags.once, "once", false, "print it once")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print it once, as one line of JSON")
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(words(top.Groups()), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(words(top.Orders()), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// options reads the flags.
func (f *topFlags) options() (o top.Options, err error) {
	o = top.Options{By: top.Group(f.by), Order: top.Order(f.sort), Filter: f.filter}
	if !slices.Contains(top.Groups(), o.By) {
		return o, fmt.Errorf("unknown --by %q; want %s", f.by, config.OneOf(words(top.Groups())))
	}
	if !slices.Contains(top.Orders(), o.Order) {
		return o, fmt.Errorf("unknown --sort %q; want %s", f.sort, config.OneOf(words(top.Orders())))
	}
	return o, nil
}

// words returns names as strings.
func words[T ~string](all []T) []string {
	var list []string
	for _, w := range all {
		list = append(list, string(w))
	}
	return list
}

// topOnce prints what the process does, from two samples.
func (a *app) topOnce(ctx context.Context, c *apiClient, o top.Options, inJSON bool) error {
	before, err := top.Take(ctx, c, o.By)
	if err != nil {
		return err
	}
	select {
	case <-time.After(top.Every):
	case <-ctx.Done():
		return ctx.Err()
	}
	now, err := top.Take(ctx, c, o.By)
	if err != nil {
		return err
	}
	rows := top.Filter(top.Rows(before, now), o.Filter)
	top.Sort(rows, o.Order)
	if inJSON {
		return json.NewEncoder(a.Stdout).Encode(struct {
			Time time.Time `json:"time"`
			By   top.Group `json:"by"`
			Rows []top.Row `json:"rows"`
		}{now.Snapshot.Time, o.By, append([]top.Row{}, rows...)})
	}
	for _, line := range top.Text(before, now, rows) {
		if _, err := fmt.Fprintln(a.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// topScreen shows what the process does until a key or a signal ends it.
func (a *app) topScreen(c *apiClient, screen *os.File, o top.Options) (err error) {
	if _, err := c.Status(context.Background()); err != nil { // while the error has its place
		return err
	}
	ctx, stop := a.untilSignal()
	defer stop()
	resized, calm := terminal.Resized()
	defer calm()
	t, err := terminal.Open(screen)
	if err != nil {
		return fmt.Errorf("open the terminal: %w; --once needs none", cause(err))
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	keys := make(chan terminal.Key)
	go func() { // ends with the terminal, or with the process where a wait for a key can't be ended
		defer close(keys)
		_ = t.Keys(ctx, func(k terminal.Key) {
			select {
			case keys <- k:
			case <-ctx.Done():
			}
		})
	}()
	return top.Run(ctx, c, t, keys, resized, o)
}

var _ top.Process = (*apiClient)(nil)

// Status returns what the process says of itself.
func (c *apiClient) Status(ctx context.Context) (s view.Status, err error) {
	err = c.get(ctx, "/status", nil, &s)
	return s, err
}

// Snapshot returns what the process does now.
func (c *apiClient) Snapshot(ctx context.Context) (s view.Snapshot, err error) {
	err = c.get(ctx, "/snapshot", nil, &s)
	return s, err
}

// Connections returns the live connections.
func (c *apiClient) Connections(ctx context.Context) ([]view.Connection, error) {
	return c.connections(ctx, url.Values{})
}

// Cut ends the connections of a row and returns how many.
func (c *apiClient) Cut(ctx context.Context, by top.Group, name string) (int, error) {
	if name == "" {
		return 0, errors.New("a row without a name")
	}
	switch by {
	case top.ByPipeline:
		v := viewFlags{pipeline: name}
		return c.cutAll(ctx, v.query(), v.matches)
	case top.ByUser:
		v := viewFlags{user: name}
		return c.cutAll(ctx, v.query(), v.matches)
	case top.ByOutbound:
		v := viewFlags{outbound: name}
		return c.cutAll(ctx, v.query(), func(conn view.Connection) bool { return slices.Contains(conn.Path, name) })
	}
	id, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return 0, err
	}
	return c.cutIDs(ctx, []uint64{id})
}
