package app

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// ownTables are the tables that have no kinds.
var ownTables = []struct {
	name, header, help string
	options            reflect.Type
}{
	{"pipeline", "[pipeline.<name>]", "a chain of components", reflect.TypeFor[config.PipelineTable]()},
	{"log", "[log]", "the log of the process", reflect.TypeFor[config.Log]()},
	{"admin", "[admin]", "commands against the running process", reflect.TypeFor[config.Admin]()},
	{"manager", "[manager]", "ports that other programs add and remove", reflect.TypeFor[config.Manager]()},
	{"process", "[process]", "the process as a whole", reflect.TypeFor[config.Process]()},
}

func (a *app) kindsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "kinds [SECTION[.KIND]]",
		Short: "list the kinds of components and their options",
		Long: `kinds lists what this program has to build pipelines of. With a section, such
as outbound, or one kind of it, such as outbound.ss, it lists every option, with
its type, its bounds and its default. pipeline, log, admin, manager and process are
the tables without kinds.`,
		Example: `  umbra kinds
  umbra kinds outbound.ss`,
		Args:                  atMostOne("SECTION[.KIND]"),
		ValidArgsFunction:     a.completeKind,
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fail(a.listKinds())
			}
			return a.describe(args[0])
		},
	}
}

// listKinds writes all names, a line each.
func (a *app) listKinds() error {
	width := 0
	for _, s := range core.Sections() {
		for _, name := range a.reg.Section(s).Names() {
			width = max(width, len(name))
		}
	}
	var b strings.Builder
	line := func(indent, name, help string) {
		fmt.Fprintf(&b, "%s%-*s  %s\n", indent, width+2-len(indent), name, help)
	}
	for _, s := range core.Sections() {
		kinds := a.reg.Section(s)
		if len(kinds.Names()) == 0 {
			continue
		}
		line("", string(s), s.Help())
		for _, name := range kinds.Names() {
			info, _ := kinds.Describe(name)
			line("  ", name, config.About(info.Options))
		}
		b.WriteString("\n")
	}
	for _, t := range ownTables {
		line("", t.name, t.help)
	}
	_, err := io.WriteString(a.Stdout, b.String())
	return err
}

// describe writes the options of a section's kinds, of one kind, or of a table
// without kinds.
func (a *app) describe(what string) error {
	var b strings.Builder
	section, name, one := strings.Cut(what, ".")
	for _, t := range ownTables {
		if section == t.name {
			fmt.Fprintf(&b, "%s: %s\n\n", t.header, t.help)
			writeOptions(&b, "  ", "", t.options)
			_, err := io.WriteString(a.Stdout, b.String())
			return fail(err)
		}
	}
	kinds := a.reg.Section(core.Section(section))
	if kinds == nil {
		return fmt.Errorf("unknown section %q%s", section, config.DidYouMean(section, sectionNames()))
	}
	names := kinds.Names()
	if one {
		info, ok := kinds.Describe(name)
		if !ok {
			return fmt.Errorf("unknown kind %q of %s%s", name, section, config.DidYouMean(name, allNames(kinds)))
		}
		names = []string{info.Name}
	}
	for i, name := range names {
		if i > 0 {
			b.WriteString("\n")
		}
		info, _ := kinds.Describe(name)
		writeKind(&b, section, info)
	}
	if len(names) == 0 {
		fmt.Fprintf(&b, "this program has no kind of %s\n", section)
	}
	_, err := io.WriteString(a.Stdout, b.String())
	return fail(err)
}

// writeKind writes one kind with its options.
func writeKind(b *strings.Builder, section string, info core.KindInfo) {
	fmt.Fprintf(b, "%s.%s: %s\n", section, info.Name, config.About(info.Options))
	if len(info.Aliases) > 0 {
		fmt.Fprintf(b, "  other names: %s\n", strings.Join(info.Aliases, ", "))
	}
	b.WriteString("\n")
	if len(config.Fields(info.Options)) == 0 {
		b.WriteString("  no options\n")
	}
	writeOptions(b, "  ", "", info.Options)
}

// writeOptions writes the keys of a table, those of tables within it after it.
func writeOptions(b *strings.Builder, indent, within string, options reflect.Type) {
	for _, f := range config.Fields(options) {
		key, is := within+f.Key, ""
		switch {
		case f.Required:
			is = ", required"
		case f.Default != "":
			is = ", default " + f.Default
		}
		fmt.Fprintf(b, "%s%s (%s%s)\n%s    %s\n", indent, key, fieldWords(f), is, indent, f.Help)
		if table, ok := tableOf(f.Type); ok && table != options {
			writeOptions(b, indent, key+".", table)
		}
	}
}

// sectionNames returns what a file may have on its top level.
func sectionNames() []string {
	var names []string
	for _, s := range core.Sections() {
		names = append(names, string(s))
	}
	for _, t := range ownTables {
		names = append(names, t.name)
	}
	return names
}

// allNames returns the names of kinds and their aliases.
func allNames(kinds core.Catalog) []string {
	names := kinds.Names()
	for _, name := range kinds.Names() {
		info, _ := kinds.Describe(name)
		names = append(names, info.Aliases...)
	}
	return names
}
