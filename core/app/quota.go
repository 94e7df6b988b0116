package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core/config"
)

func (a *app) quotaCommand() *cobra.Command {
	quota := &cobra.Command{
		Use:   "quota WHAT",
		Short: "show and reset the quotas of the running process",
		Long: `quota talks to the process that runs FILE, through the socket of its [admin] table,
about the quotas of its policy of kind limit. "-" is the user of requests without
one.`,
		Example: `  umbra quota list server.toml
  umbra quota reset server.toml alice`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("unknown command %q%s", args[0], config.DidYouMean(args[0], commandNames(cmd)))
		},
		RunE:                  func(*cobra.Command, []string) error { return errors.New("want list, show or reset") },
		DisableFlagsInUseLine: true,
	}
	policy := quota.PersistentFlags().String("policy", "", "the [policy.x] to ask, where FILE has several of kind limit")
	quota.AddCommand(
		a.quotaWord("list FILE", "list what users have used in this month", policy),
		a.quotaWord("show FILE USER", "show what a user has used", policy),
		a.quotaWord("reset FILE USER", "have a user begin anew, on all nodes", policy),
	)
	return quota
}

// quotaWord returns the command that sends its own name, and what follows FILE, to the
// policy.
func (a *app) quotaWord(use, short string, policy *string) *cobra.Command {
	usage := strings.Fields(use)
	return &cobra.Command{
		Use: use, Short: short,
		Long:                  usage[0] + ": " + short + ". FILE is the one that the process runs.",
		Example:               "  umbra quota " + strings.NewReplacer("FILE", "server.toml", "USER", "alice").Replace(use),
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     completeFile,
		Args: func(_ *cobra.Command, given []string) error {
			if len(given) != len(usage)-1 {
				return fmt.Errorf("want %s, got %d arguments", strings.Join(usage[1:], " and "), len(given))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, given []string) error {
			f, err := a.load(given[0])
			if err != nil {
				return fail(err)
			}
			id, err := policyOf(f, "limit", *policy)
			if err != nil {
				return fail(err)
			}
			return fail(a.command(f, id, append([]string{"quota", usage[0]}, given[1:]...), asText))
		},
	}
}
