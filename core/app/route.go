package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
)

// routeFlags are the flags of the command route.
type routeFlags struct {
	udp, ask, running, json bool
	pipeline                string
}

func (a *app) routeCommand() *cobra.Command {
	var flags routeFlags
	cmd := &cobra.Command{
		Use:   "route FILE [USER@]SOURCE TARGET",
		Short: "tell where a request would go, without making it",
		Long: `route follows a request of a client at SOURCE for TARGET, as host:port, through each
pipeline of FILE: which rules hold and by which of their lines, which member a group
would take, and what each outbound would do. Nothing is dialled. Names are looked up
with --ask alone. With --running the process that runs FILE says which members are
in, through the socket of its [admin] table. "-" is the standard input.

Exit status: 0 if the request would be sent on, 1 if a pipeline would refuse it or
FILE is bad, 2 for wrong usage.`,
		Example: `  umbra route local.toml alice@192.0.2.7 git.corp.example:22
  umbra route --running --udp local.toml 192.0.2.7 www.example.com:443`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     completeFile,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 3 {
				return fmt.Errorf("want a FILE, a SOURCE and a TARGET, got %s", count(len(args), "argument"))
			}
			_, err := flags.question(args[1], args[2])
			return err
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := flags.question(args[1], args[2])
			if err != nil {
				return err
			}
			return a.route(cmd.Context(), args[0], q, flags)
		},
	}
	cmd.Flags().BoolVar(&flags.udp, "udp", false, "a datagram rather than a connection")
	cmd.Flags().BoolVar(&flags.ask, "ask", false, "look names up, where the way depends on their addresses")
	cmd.Flags().BoolVar(&flags.running, "running", false, "ask the running process which members of groups are in")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print JSON")
	cmd.Flags().StringVar(&flags.pipeline, "pipeline", "", "the `NAME` of one pipeline; all without it")
	return cmd
}

// question reads the arguments.
func (f routeFlags) question(source, target string) (q engine.Question, err error) {
	q = engine.Question{Network: core.TCP, Ask: f.ask}
	if f.udp {
		q.Network = core.UDP
	}
	if i := strings.LastIndexByte(source, '@'); i >= 0 {
		q.User, source = source[:i], source[i+1:]
	}
	if q.Client, err = netip.ParseAddr(source); err != nil {
		at, portErr := netip.ParseAddrPort(source)
		if portErr != nil {
			return q, fmt.Errorf("SOURCE: %q is not the address of a client, such as 192.0.2.7 or alice@2001:db8::7", source)
		}
		q.Client = at.Addr()
	}
	q.Client = q.Client.Unmap()
	if q.Target, err = core.ParseAddr(target); err != nil {
		return q, fmt.Errorf("TARGET: %w; write it as host:port", err)
	}
	return q, nil
}

func (a *app) route(ctx context.Context, path string, q engine.Question, flags routeFlags) error {
	f, err := a.load(path)
	if err != nil {
		return fail(err)
	}
	a.warn(f)
	if ctx == nil {
		ctx = context.Background()
	}
	if flags.pipeline != "" && !slices.ContainsFunc(f.Pipelines, func(p *config.Pipeline) bool { return p.Name == flags.pipeline }) {
		return fail(fmt.Errorf("%s has no pipeline.%s%s", f.Name, flags.pipeline, config.DidYouMean(flags.pipeline, pipelineNames(f))))
	}
	var choose engine.Choose
	if flags.running {
		if err := reach(f); err != nil {
			return fail(err)
		}
		choose = func(_ context.Context, id config.ID, r *core.Request, ask bool) ([]core.Choice, error) {
			return askChoices(f, id, r, ask)
		}
	}
	log := slog.New(&textHandler{w: plainLines{a.Stderr}, least: slog.LevelError})
	all, err := engine.Route(ctx, a.reg, f, log, q, choose)
	if err != nil {
		return fail(err)
	}
	if flags.pipeline != "" {
		all = slices.DeleteFunc(all, func(p engine.RoutePath) bool { return p.Pipeline != flags.pipeline })
	}
	if flags.json {
		e := json.NewEncoder(a.Stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(all)
	} else {
		err = writeRoutes(a.Stdout, all)
	}
	if err != nil {
		return fail(err)
	}
	if slices.ContainsFunc(all, func(p engine.RoutePath) bool { return refused(p.Steps) }) {
		return &failure{}
	}
	return nil
}

// refused reports whether a request ends on its way.
func refused(steps []engine.RouteStep) bool {
	for _, s := range steps {
		if s.Error != "" {
			return true
		}
		for _, b := range s.Branches {
			if b.Verdict == core.VerdictYes && refused(b.Steps) {
				return true
			}
		}
	}
	return false
}

// askChoices asks the running process of a file.
func askChoices(f *config.File, id config.ID, r *core.Request, ask bool) (all []core.Choice, err error) {
	q := routeQuestion{User: r.User, Client: r.Client.Addr.Addr(), Target: r.Target.String(), Network: r.Network, Inbound: r.Client.Inbound, IPs: r.IPs, Ask: ask}
	answer, err := askRunning(f, adminRequest{Section: id.Section, Name: id.Name, Route: &q})
	if err != nil || answer.Result == nil {
		return nil, err
	}
	return all, json.Unmarshal(answer.Result, &all)
}

// routeQuestion is a request whose branch the running process is asked for.
type routeQuestion struct {
	User    string       `json:"user,omitempty"`
	Client  netip.Addr   `json:"client"`
	Target  string       `json:"target"`
	Network core.Network `json:"network"`
	Inbound string       `json:"inbound"`
	IPs     []netip.Addr `json:"ips,omitempty"`
	Ask     bool         `json:"ask,omitempty"`
}

// choose answers a question of askChoices.
func (q routeQuestion) choose(ctx context.Context, e *engine.Engine, id config.ID) (any, error) {
	target, err := core.ParseAddr(q.Target)
	if err != nil {
		return nil, err
	}
	all, err := e.Choose(ctx, id, &core.Request{
		Network: q.Network, User: q.User, Target: target, IPs: q.IPs, Flow: new(core.Flow),
		Client: core.Client{Addr: netip.AddrPortFrom(q.Client, 0), Network: q.Network, Inbound: q.Inbound},
	}, q.Ask)
	if all == nil {
		return nil, err
	}
	return all, err
}

// writeRoutes prints where a request would go.
func writeRoutes(w io.Writer, all []engine.RoutePath) error {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, "pipeline.%s\n", p.Pipeline)
		writeSteps(&b, p.Steps, "  ")
	}
	_, err := io.WriteString(w, core.Visible(b.String(), "\n"))
	return err
}

// writeSteps prints the components on a way.
func writeSteps(b *strings.Builder, steps []engine.RouteStep, margin string) {
	width := 0
	for _, s := range steps {
		width = max(width, utf8.RuneCountInString(s.Component))
	}
	for _, s := range steps {
		text := s.Text
		if len(s.Found) > 0 {
			text += " (" + strings.Join(s.Found, "; ") + ")"
		}
		if s.Error != "" {
			text = "ENDS HERE: " + s.Error
		}
		fmt.Fprintf(b, "%s%s\n", margin, strings.TrimRight(fmt.Sprintf("%-*s  %s", width, s.Component, text), " "))
		writeBranches(b, s.Branches, margin+"  ")
	}
}

// writeBranches prints the branches of a component, those that are taken with their steps.
func writeBranches(b *strings.Builder, branches []engine.RouteBranch, margin string) {
	width := 0
	for _, to := range branches {
		width = max(width, utf8.RuneCountInString(to.Label))
	}
	for _, to := range branches {
		verdict := string(to.Verdict)
		if to.Verdict == core.VerdictYes {
			verdict = "YES"
		}
		var why []string
		if to.Text != "" {
			why = append(why, to.Text)
		}
		for _, r := range to.Why {
			why = append(why, reasonText(r))
		}
		line := fmt.Sprintf("%s%-*s  %-9s  %s", margin, width, to.Label, verdict, strings.Join(why, " · "))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		writeSteps(b, to.Steps, margin+"  ")
	}
}

// reasonText is "targets: corp.example (line 16)".
func reasonText(r engine.RouteReason) string {
	parts := core.SplitOptionKey(r.Key)
	text := cmp.Or(parts[0], r.Key) + ": " + r.Text
	if r.Line > 0 {
		text += fmt.Sprintf(" (line %d)", r.Line)
	}
	return text
}
