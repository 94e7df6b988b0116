package app

import (
	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// completeFile completes a FILE: those that end in .toml.
func completeFile(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeComponent completes a FILE and then a SECTION.NAME of it.
func (a *app) completeComponent(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return completeFile(cmd, args, text)
	}
	f, err := config.Load(args[0], a.reg)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return componentNames(f), cobra.ShellCompDirectiveNoFileComp
}

// completeMethod completes a METHOD.
func (a *app) completeMethod(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return describeAll("", &a.reg.Cipher), cobra.ShellCompDirectiveNoFileComp
}

// completeKind completes a SECTION or SECTION.KIND.
func (a *app) completeKind(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for _, s := range core.Sections() {
		all = append(all, cobra.CompletionWithDesc(string(s), s.Help()))
		all = append(all, describeAll(string(s)+".", a.reg.Section(s))...)
	}
	for _, t := range ownTables {
		all = append(all, cobra.CompletionWithDesc(t.name, t.help))
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// describeAll returns the names of kinds, each after prefix and with its help.
func describeAll(prefix string, kinds core.Catalog) []cobra.Completion {
	var all []cobra.Completion
	for _, name := range kinds.Names() {
		info, _ := kinds.Describe(name)
		all = append(all, cobra.CompletionWithDesc(prefix+name, config.About(info.Options)))
	}
	return all
}
