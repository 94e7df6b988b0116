package app

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// viewFlags say which connections a command is about.
type viewFlags struct {
	pipeline, user, outbound, text string
}

// add adds the flags of those names to a command, with their completion.
func (v *viewFlags) add(a *app, cmd *cobra.Command, names ...string) {
	for _, flag := range []struct {
		name string
		to   *string
		help string
	}{
		{"pipeline", &v.pipeline, "those of one pipeline, by its `NAME`"},
		{"user", &v.user, "those of one user, by the `NAME`"},
		{"outbound", &v.outbound, "those that take an outbound, by its `NAME`"},
		{"text", &v.text, "those whose client or target contains `TEXT`"},
	} {
		if slices.Contains(names, flag.name) {
			cmd.Flags().StringVar(flag.to, flag.name, "", flag.help)
		}
	}
	complete := func(names func(*config.File) []string) cobra.CompletionFunc {
		return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			f, err := config.Load(args[0], a.reg)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names(f), cobra.ShellCompDirectiveNoFileComp
		}
	}
	_ = cmd.RegisterFlagCompletionFunc("pipeline", complete(pipelineNames)) // it fails for a flag that is not there
	_ = cmd.RegisterFlagCompletionFunc("outbound", complete(outboundNames))
	_ = cmd.RegisterFlagCompletionFunc("user", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("text", cobra.NoFileCompletions)
}

// query returns the flags as the API takes them.
func (v *viewFlags) query() url.Values {
	q := url.Values{}
	for key, value := range map[string]string{"pipeline": v.pipeline, "user": v.user, "text": strings.ToLower(v.text)} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if v.outbound != "" {
		q.Set("outbound", outboundID(v.outbound))
	}
	return q
}

// outboundID returns the ID of an outbound that was given by it or by its name.
func outboundID(name string) string {
	if strings.HasPrefix(name, string(core.SectionOutbound)+".") {
		return name
	}
	return config.ID{Section: core.SectionOutbound, Name: name}.String()
}

// pipelineNames returns the names of a file's pipelines, in its order.
func pipelineNames(f *config.File) []string {
	var names []string
	for _, p := range f.Pipelines {
		names = append(names, p.Name)
	}
	return names
}

// outboundNames returns the names of a file's outbounds, sorted.
func outboundNames(f *config.File) []string {
	var names []string
	for id := range f.Components {
		if id.Section == core.SectionOutbound {
			names = append(names, id.Name)
		}
	}
	slices.Sort(names)
	return names
}

// check returns an error for a pipeline or an outbound that a file hasn't.
func (v *viewFlags) check(f *config.File) error {
	if names := pipelineNames(f); v.pipeline != "" && !slices.Contains(names, v.pipeline) {
		return fmt.Errorf("%s has no pipeline.%s%s", f.Name, v.pipeline, config.DidYouMean(v.pipeline, names))
	}
	name := strings.TrimPrefix(v.outbound, string(core.SectionOutbound)+".")
	if names := outboundNames(f); name != "" && !slices.Contains(names, name) {
		return fmt.Errorf("%s has no outbound.%s%s", f.Name, name, config.DidYouMean(name, names))
	}
	return nil
}

// contextOf returns the context of a command.
func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

// askProcess has a function ask the process that runs the file at path.
func (a *app) askProcess(path string, ask func(c *apiClient) error) error {
	f, err := a.load(path)
	if err != nil {
		return fail(err)
	}
	c, err := newAPIClient(f)
	if err != nil {
		return fail(err)
	}
	defer c.close()
	return fail(ask(c))
}
