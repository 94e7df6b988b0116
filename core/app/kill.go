package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core/view"
)

func (a *app) killCommand() *cobra.Command {
	var flags viewFlags
	cmd := &cobra.Command{
		Use:   "kill FILE ID... | kill [--user NAME] [--pipeline NAME] FILE",
		Short: "end connections of the running process",
		Long: `kill has the process that runs FILE end connections, through the socket of its [admin]
table: those with the IDs, which umbra top and the log show, or all of a user or a
pipeline. It prints how many it ended. Clients may connect again at once; umbra ban
keeps them out.

Exit status: 0 if all were ended, 1 if there is none with an ID or something failed,
2 for wrong usage.`,
		Example: `  umbra kill server.toml 4711
  umbra kill server.toml --user alice`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     completeFile,
		Args: func(_ *cobra.Command, args []string) error {
			_, err := flags.victims(args)
			return err
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, _ := flags.victims(args)
			return a.askProcess(args[0], func(c *apiClient) error {
				var n int
				var err error
				if len(ids) > 0 {
					n, err = c.cutIDs(contextOf(cmd), ids)
				} else {
					n, err = c.cutAll(contextOf(cmd), flags.query(), flags.matches)
				}
				if n > 0 || err == nil {
					fmt.Fprintf(a.Stdout, "%s cut\n", count(n, "connection"))
				}
				return err
			})
		},
	}
	flags.add(a, cmd, "pipeline", "user")
	return cmd
}

// victims returns the IDs of the arguments.
func (v *viewFlags) victims(args []string) (ids []uint64, err error) {
	byFlag := v.user != "" || v.pipeline != ""
	switch {
	case len(args) == 0:
		return nil, errors.New("want a FILE")
	case len(args) == 1 && !byFlag:
		return nil, errors.New("want an ID, --user or --pipeline")
	case len(args) > 1 && byFlag:
		return nil, errors.New("want IDs, or --user and --pipeline, not both")
	}
	for _, arg := range args[1:] {
		id, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not the ID of a connection; umbra top shows them", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// matches reports whether a connection is of the user and the pipeline.
func (v *viewFlags) matches(c view.Connection) bool {
	return (v.user == "" || c.User == v.user) && (v.pipeline == "" || c.Pipeline == v.pipeline)
}

// cutIDs ends connections by their IDs and returns how many. The error names those that are not
// there.
func (c *apiClient) cutIDs(ctx context.Context, ids []uint64) (n int, err error) {
	var missing []error
	for _, id := range ids {
		switch err := c.cut(ctx, id); {
		case err == nil:
			n++
		case hasStatus(err, http.StatusNotFound):
			missing = append(missing, fmt.Errorf("no connection %d: it has ended; umbra top shows those that run", id))
		default:
			return n, err
		}
	}
	return n, errors.Join(missing...)
}

// cutAll ends the connections that match, and returns how many. One that has ended by itself
// meanwhile is not counted.
func (c *apiClient) cutAll(ctx context.Context, query url.Values, matches func(view.Connection) bool) (n int, err error) {
	all, err := c.connections(ctx, query)
	if err != nil {
		return 0, err
	}
	for _, conn := range all {
		if !matches(conn) {
			continue
		}
		switch err := c.cut(ctx, conn.ID); {
		case err == nil:
			n++
		case !hasStatus(err, http.StatusNotFound):
			return n, err
		}
	}
	return n, nil
}
