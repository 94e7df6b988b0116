package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

func (a *app) banCommand() *cobra.Command {
	ban := &cobra.Command{
		Use:   "ban WHAT",
		Short: "show and change the bans of the running process",
		Long: `ban talks to the process that runs FILE, through the socket of its [admin] table,
about the bans of its policy of kind ban.`,
		Example: `  umbra ban list server.toml
  umbra ban add server.toml 203.0.113.0/24 --for 24h`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("unknown command %q%s", args[0], config.DidYouMean(args[0], commandNames(cmd)))
		},
		RunE:                  func(*cobra.Command, []string) error { return errors.New("want list, add, remove or stats") },
		DisableFlagsInUseLine: true,
	}
	policy := ban.PersistentFlags().String("policy", "", "the [policy.x] to ask, where FILE has several of kind ban")
	long := time.Duration(0)
	add := a.banWord("add FILE ADDRESS", "ban an address or a range", policy, &long)
	add.Flags().DurationVar(&long, "for", 0, "how long; left out, as long as a first ban")
	ban.AddCommand(
		a.banWord("list FILE", "list who is banned, and until when", policy, nil), add,
		a.banWord("remove FILE ADDRESS", "take a ban back", policy, nil),
		a.banWord("stats FILE", "tell how many are banned", policy, nil),
	)
	return ban
}

// banWord returns the command that sends its own name, what follows FILE, and a time
// that is set, to the policy.
func (a *app) banWord(use, short string, policy *string, long *time.Duration) *cobra.Command {
	usage := strings.Fields(use)
	return &cobra.Command{
		Use: use, Short: short,
		Long:                  usage[0] + ": " + short + ". FILE is the one that the process runs.",
		Example:               "  umbra ban " + strings.NewReplacer("FILE", "server.toml", "ADDRESS", "203.0.113.7").Replace(use),
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
			id, err := policyOf(f, "ban", *policy)
			if err != nil {
				return fail(err)
			}
			words := append([]string{usage[0]}, given[1:]...)
			if long != nil && *long > 0 {
				words = append(words, long.String())
			}
			return fail(a.command(f, id, words, asText))
		},
	}
}

// policyOf returns the policy of a kind with that name, or the only one.
func policyOf(f *config.File, kind, name string) (config.ID, error) {
	var ids []string
	for id, c := range f.Components {
		if id.Section == core.SectionPolicy && c.Kind == kind && (name == "" || id.Name == name) {
			ids = append(ids, id.Name)
		}
	}
	slices.Sort(ids)
	switch {
	case len(ids) == 1:
		return config.ID{Section: core.SectionPolicy, Name: ids[0]}, nil
	case len(ids) > 1:
		return config.ID{}, fmt.Errorf("%s has several policies of kind %s; say which with --policy %s", f.Name, kind, config.OneOf(ids))
	case name != "":
		return config.ID{}, fmt.Errorf("%s has no policy.%s of kind %s", f.Name, name, kind)
	}
	return config.ID{}, fmt.Errorf("%s has no policy of kind %s", f.Name, kind)
}
