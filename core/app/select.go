package app

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

func (a *app) selectCommand() *cobra.Command {
	inJSON := false
	cmd := &cobra.Command{
		Use:   "select FILE GROUP [MEMBER]",
		Short: "show the members of a group, or choose one",
		Long: `select talks to the process that runs FILE, through the socket of its [admin] table,
about an outbound that chooses among others. Without MEMBER it lists the members and
how they are; "*" is the one that requests go through. With MEMBER that one serves
from now on, which groups of kind select do. Their option file keeps the choice over
a restart.`,
		Example: `  umbra select local.toml exit
  umbra select local.toml exit tokyo`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeGroup,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 && len(args) != 3 {
				return fmt.Errorf("want FILE, GROUP and perhaps MEMBER, got %d arguments", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := a.load(args[0])
			if err != nil {
				return fail(err)
			}
			id, err := groupOf(f, args[1])
			if err != nil {
				return fail(err)
			}
			words := []string{"list"}
			if len(args) == 3 {
				words = []string{"take", args[2]}
			}
			form := asText
			if inJSON {
				form = asJSON
			}
			return fail(a.command(f, id, words, form))
		},
	}
	cmd.Flags().BoolVar(&inJSON, "json", false, "print the members as one line of JSON")
	return cmd
}

// groupOf returns the outbound with a name that has members.
func groupOf(f *config.File, name string) (config.ID, error) {
	id := config.ID{Section: core.SectionOutbound, Name: name}
	names := groupNames(f)
	switch c := f.Components[id]; {
	case slices.Contains(names, name):
		return id, nil
	case c != nil:
		return id, fmt.Errorf("%s is of kind %s, which has no members", id, c.Kind)
	}
	return id, fmt.Errorf("%s has no %s%s", f.Name, id, config.DidYouMean(name, names))
}

// groupNames returns the names of the outbounds that have members, sorted.
func groupNames(f *config.File) []string {
	var names []string
	for id, c := range f.Components {
		if id.Section == core.SectionOutbound && len(c.Members()) > 0 {
			names = append(names, id.Name)
		}
	}
	slices.Sort(names)
	return names
}

// completeGroup completes a FILE, then a group of it, then a member.
func (a *app) completeGroup(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeFile(cmd, args, text)
	}
	f, err := config.Load(args[0], a.reg)
	switch {
	case err != nil || len(args) > 2:
		return nil, cobra.ShellCompDirectiveNoFileComp
	case len(args) == 1:
		return groupNames(f), cobra.ShellCompDirectiveNoFileComp
	}
	if c := f.Components[config.ID{Section: core.SectionOutbound, Name: args[1]}]; c != nil {
		return c.Members(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
