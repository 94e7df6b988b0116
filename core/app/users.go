package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/view"
)

func (a *app) usersCommand() *cobra.Command {
	inJSON := false
	cmd := &cobra.Command{
		Use:   "users [--json] FILE",
		Short: "list the users of the running process",
		Long: `users asks the process that runs FILE, through the socket of its [admin] table, what its
users do: connections now, bytes since the process began, bytes of the month against
the quota, and when each was last seen.`,
		Example:               `  umbra users server.toml`,
		Args:                  exactlyOne("FILE"),
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.askProcess(args[0], func(c *apiClient) error {
				users, err := c.Users(contextOf(cmd))
				if err != nil {
					return err
				}
				if inJSON {
					return json.NewEncoder(a.Stdout).Encode(users)
				}
				return writeUsers(a.Stdout, users)
			})
		},
	}
	cmd.Flags().BoolVar(&inJSON, "json", false, "print one line of JSON")
	return cmd
}

// Users returns the users of the process.
func (c *apiClient) Users(ctx context.Context) ([]view.User, error) {
	users := []view.User{}
	err := c.get(ctx, "/users", nil, &users)
	return users, err
}

// writeUsers writes a table of users, sorted by their names.
func writeUsers(w io.Writer, users []view.User) error {
	if len(users) == 0 {
		_, err := fmt.Fprintln(w, "no user was seen, and none has a quota")
		return err
	}
	slices.SortFunc(users, func(a, b view.User) int { return cmp.Compare(a.Name, b.Name) })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "user\tconnections\tup\tdown\tused\tquota\tuntil\tlast seen")
	for _, u := range users {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", shown(cmp.Or(u.Name, "-")), u.Connections, sizeText(u.Up), sizeText(u.Down),
			sizeText(u.Used), quotaText(u.Quota), dateText(u.Resets, time.DateOnly), dateText(u.LastSeen, time.DateTime))
	}
	return t.Flush()
}

func sizeText(n int64) string { return option.Size(max(n, 0)).Rounded() }

func quotaText(n int64) string {
	if n <= 0 {
		return "-"
	}
	return sizeText(n)
}

func dateText(t time.Time, layout string) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(layout)
}
