package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
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
	list := a.banAction("list FILE", "list who is banned, and until when", 1, func(f *config.File, id config.ID, _ []string) error {
		return a.banList(f, id)
	}, policy)
	add := a.banAction("add FILE ADDRESS", "ban an address or a range", 2, func(f *config.File, id config.ID, args []string) error {
		words := []string{"add", args[1]}
		if long > 0 {
			words = append(words, long.String())
		}
		return a.banAdd(f, id, words)
	}, policy)
	add.Flags().DurationVar(&long, "for", 0, "how long; left out, as long as a first ban")
	remove := a.banAction("remove FILE ADDRESS", "take a ban back", 2, func(f *config.File, id config.ID, args []string) error {
		var name string
		if err := a.command(f, id, []string{"remove", args[1]}, &name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.Stdout, "%s is free\n", name)
		return err
	}, policy)
	stats := a.banAction("stats FILE", "tell how many are banned", 1, func(f *config.File, id config.ID, _ []string) error {
		return a.banStats(f, id)
	}, policy)
	ban.AddCommand(list, add, remove, stats)
	return ban
}

// banAction returns one of the commands. It takes a FILE, and an ADDRESS where it has
// two arguments.
func (a *app) banAction(use, short string, args int, do func(*config.File, config.ID, []string) error, policy *string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short,
		Long:                  strings.Fields(use)[0] + ": " + short + ". FILE is the one that the process runs.",
		Example:               "  umbra ban " + strings.NewReplacer("FILE", "server.toml", "ADDRESS", "203.0.113.7").Replace(use),
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     completeFile,
		Args: func(_ *cobra.Command, given []string) error {
			if len(given) != args {
				return fmt.Errorf("want %s, got %d arguments", strings.Join(strings.Fields(use)[1:], " and "), len(given))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, given []string) error {
			f, err := a.load(given[0])
			if err != nil {
				return fail(err)
			}
			id, err := banPolicy(f, *policy)
			if err == nil {
				err = do(f, id, given)
			}
			return fail(err)
		},
	}
}

// banPolicy returns the policy of kind ban with that name, or the only one.
func banPolicy(f *config.File, name string) (config.ID, error) {
	var ids []string
	for id, c := range f.Components {
		if id.Section == core.SectionPolicy && c.Kind == "ban" && (name == "" || id.Name == name) {
			ids = append(ids, id.Name)
		}
	}
	slices.Sort(ids)
	switch {
	case len(ids) == 1:
		return config.ID{Section: core.SectionPolicy, Name: ids[0]}, nil
	case len(ids) > 1:
		return config.ID{}, fmt.Errorf("%s has several policies of kind ban; say which with --policy %s", f.Name, config.OneOf(ids))
	case name != "":
		return config.ID{}, fmt.Errorf("%s has no policy.%s of kind ban", f.Name, name)
	}
	return config.ID{}, fmt.Errorf("%s has no policy of kind ban", f.Name)
}

// banLine is a ban as the policy shows it.
type banLine struct {
	Client   string    `json:"client"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Times    int       `json:"times"`
	Failures string    `json:"failures"`
	Refused  int64     `json:"refused"`
}

func (a *app) banList(f *config.File, id config.ID) error {
	var lines []banLine
	if err := a.command(f, id, []string{"list"}, &lines); err != nil {
		return err
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(a.Stdout, "nobody is banned")
		return err
	}
	t := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "client\tsince\tleft\ttimes\trefused\tfailures")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\n", l.Client, l.Since.Local().Format(time.DateTime),
			time.Until(l.Until).Round(time.Second), l.Times, l.Refused, l.Failures)
	}
	return t.Flush()
}

func (a *app) banAdd(f *config.File, id config.ID, words []string) error {
	var line banLine
	if err := a.command(f, id, words, &line); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.Stdout, "%s is banned for %s\n", line.Client, line.Until.Sub(line.Since).Round(time.Second))
	return err
}

func (a *app) banStats(f *config.File, id config.ID) error {
	var s struct {
		Banned, Remembered, Failing, Served, Refused int64
	}
	if err := a.command(f, id, []string{"stats"}, &s); err != nil {
		return err
	}
	t := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "banned\t%d\nrefused connections of theirs\t%d\nended bans that still count\t%d\naddresses with failures\t%d\naddresses that were served\t%d\n",
		s.Banned, s.Refused, s.Remembered, s.Failing, s.Served)
	return t.Flush()
}
