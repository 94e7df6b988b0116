package app

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core/config"
)

// root returns the whole command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "umbra COMMAND",
		Short: "a pluggable proxy pipeline",
		Long: `umbra runs proxy pipelines: Shadowsocks and SOCKS5, local sides and servers,
chains of proxies. One TOML file says all of it.`,
		Example: `  umbra check config.example.toml
  umbra run config.example.toml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("unknown command %q%s", args[0], config.DidYouMean(args[0], commandNames(cmd)))
		},
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,
		CompletionOptions:     cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	version := root.Flags().Bool("version", false, "tell the version")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *version {
			return a.version()
		}
		return errors.New("want a command")
	}
	root.AddCommand(
		a.autobanCommand(), a.runCommand(), a.localCommand(), a.serverCommand(), a.checkCommand(), a.explainCommand(), a.resolveCommand(), a.routeCommand(), a.kindsCommand(),
		a.keygenCommand(), a.uriCommand(), a.benchCommand(), a.probeCommand(), a.banCommand(), a.quotaCommand(), a.selectCommand(), a.commandCommand(),
		a.traceCommand(), a.topCommand(), a.usersCommand(), a.killCommand(), a.applyCommand(), a.buildCommand(), a.versionCommand(), completionCommand(),
	)
	root.SetHelpCommand(helpCommand())
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })
	root.SetArgs(append([]string{}, a.Args...)) // never nil, which means os.Args
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	return root
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND]",
		Short:                 "show the help of a command",
		Example:               `  umbra help run`,
		Args:                  atMostOne("COMMAND"),
		DisableFlagsInUseLine: true,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return commandNames(cmd.Root()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about := cmd.Root()
			if len(args) > 0 {
				found, rest, err := cmd.Root().Find(args)
				if err != nil || len(rest) > 0 {
					return fmt.Errorf("unknown command %q%s", args[0], config.DidYouMean(args[0], commandNames(cmd.Root())))
				}
				about = found
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

func completionCommand() *cobra.Command {
	shells := []cobra.Completion{"bash", "fish", "powershell", "zsh"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "write a completion script for a shell",
		Long:  "completion writes a script that lets a shell complete commands, files, methods\nand kinds. SHELL is bash, fish, powershell or zsh.",
		Example: `  umbra completion bash >/etc/bash_completion.d/umbra
  source <(umbra completion zsh)`,
		Args:                  exactlyOne("SHELL"),
		ValidArgs:             shells,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return fail(root.GenBashCompletionV2(out, true))
			case "fish":
				return fail(root.GenFishCompletion(out, true))
			case "powershell":
				return fail(root.GenPowerShellCompletionWithDesc(out))
			case "zsh":
				return fail(root.GenZshCompletion(out))
			}
			return fmt.Errorf("unknown shell %q; want %s", args[0], config.OneOf(shells))
		},
	}
}

// exactlyOne checks that a command has its one argument.
func exactlyOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return fmt.Errorf("want a %s", what)
		case 1:
			return nil
		}
		return fmt.Errorf("want one %s, got %d", what, len(args))
	}
}

// atMostOne checks that a command has one argument or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return exactlyOne(what)(cmd, args)
	}
}

// none checks that a command has no argument.
func none(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("want no argument, got %q", args[0])
	}
	return nil
}

// writeUsage writes how a command is called.
func writeUsage(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "usage: %s\n", cmd.UseLine())
	if !cmd.HasAvailableSubCommands() {
		return
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(w, "  %-11s %s\n", sub.Name(), sub.Short)
		}
	}
}

// writeHelp writes all that there is to say of a command.
func writeHelp(w io.Writer, cmd *cobra.Command) {
	about := cmd.Long
	if about == "" {
		about = cmd.Name() + ": " + cmd.Short
	}
	fmt.Fprintf(w, "%s\n\n", about)
	writeUsage(w, cmd)
	if flags := cmd.LocalFlags().FlagUsages(); flags != "" {
		fmt.Fprintf(w, "\nflags:\n%s", flags)
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nexample:\n%s\n", cmd.Example)
	}
}

// commandNames returns the names of a command's own commands.
func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}
