package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/methods"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/probe"
)

const (
	probeWait     = 80 * time.Second // a server of umbra's ends a connection after 45 to 75 s
	probeQuick    = 10 * time.Second // the same for a quick run
	probeParallel = 16
	maxParallel   = 60 // a server of umbra's lets 64 handshakes of one source live
)

// probeFlags are the flags of umbra probe.
type probeFlags struct {
	method, target, packetTarget string
	password                     option.Password
	wait                         time.Duration
	parallel                     int
	quick, packets, json         bool
}

func (a *app) probeCommand() *cobra.Command {
	var f probeFlags
	cmd := &cobra.Command{
		Use:   "probe HOST:PORT",
		Short: "test from outside what a server shows to a prober",
		Long: `probe connects to a Shadowsocks server as an active prober does, with what is no
request, and compares how each connection ends. With a key it also repeats, damages
and cuts off requests of its own. First it says what it will send, then it sends no
more than that. Probe servers of your own: others may take it for an attack.

Exit status: 0 if no difference was seen, 1 if there are tells or there is no
verdict, 2 for wrong usage.`,
		Example: `  umbra probe 192.0.2.1:8388
  umbra probe --method aes-256-gcm --password-file password.txt server.example.net:8388`,
		Args:                  exactlyOne("HOST:PORT"),
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.method, "method", "", "the server's `method`; needs a password")
	flags.StringVar(&f.password.PasswordFile, "password-file", "", "a `file` whose first line is the server's password")
	flags.StringVar(&f.password.PasswordEnv, "password-env", "", "an environment `variable` that holds it")
	flags.StringVar(&f.target, "target", "example.com:80", "the `host:port` of a web server that requests ask for")
	flags.DurationVar(&f.wait, "wait", probeWait, "how long each connection is watched; 10s with --quick")
	flags.IntVar(&f.parallel, "parallel", probeParallel, fmt.Sprintf("connections at a time, 1 to %d", maxParallel))
	flags.BoolVar(&f.quick, "quick", false, "a smaller set")
	flags.BoolVar(&f.packets, "udp", false, "UDP too")
	flags.StringVar(&f.packetTarget, "udp-target", "1.1.1.1:53", "the `host:port` of a DNS server that datagrams go to")
	flags.BoolVar(&f.json, "json", false, "write all records and the verdict as JSON")
	for _, name := range []string{"password-env", "target", "wait", "parallel", "udp-target"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions) // fails for an unknown flag alone
	}
	_ = cmd.RegisterFlagCompletionFunc("method", func(cmd *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.completeMethod(cmd, nil, word)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.quick && !cmd.Flags().Changed("wait") {
			f.wait = probeQuick
		}
		cfg, err := a.probeConfig(args[0], f)
		if err != nil {
			return err
		}
		return a.probe(cfg, f.json)
	}
	return cmd
}

// probeConfig checks the flags. Its errors are wrong usage, unless they are
// failures.
func (a *app) probeConfig(server string, f probeFlags) (probe.Config, error) {
	var s option.Server
	if err := s.UnmarshalText([]byte(server)); err != nil {
		return probe.Config{}, err
	}
	switch {
	case f.wait < time.Second || f.wait > time.Hour:
		return probe.Config{}, fmt.Errorf("--wait %s is not between 1s and 1h", f.wait)
	case f.parallel < 1 || f.parallel > maxParallel:
		return probe.Config{}, fmt.Errorf("--parallel %d is not between 1 and %d", f.parallel, maxParallel)
	}
	key, err := a.probeKey(f)
	return probe.Config{
		Server: s.String(), Key: key, Wait: f.wait, Parallel: f.parallel, Quick: f.quick, Packets: f.packets,
	}, err
}

// probeKey makes the key that the flags give, or nil.
func (a *app) probeKey(f probeFlags) (*probe.Key, error) {
	given := f.password.PasswordFile != "" || f.password.PasswordEnv != ""
	switch {
	case f.method == "" && !given:
		return nil, nil
	case f.method == "":
		return nil, errors.New("a password needs a --method")
	case f.password.PasswordFile != "" && f.password.PasswordEnv != "":
		return nil, errors.New("give only one of --password-file and --password-env")
	}
	info, err := a.method(f.method)
	if err != nil {
		return nil, err
	}
	_, takes := methods.SecretSize(info.Options)
	switch {
	case takes && !given:
		return nil, errors.New("--method needs a --password-file or a --password-env")
	case !takes && given:
		return nil, fmt.Errorf("%s takes no password", info.Name)
	}
	k := &probe.Key{}
	if k.Target, err = probeTarget("--target", f.target); err != nil {
		return nil, err
	}
	if k.PacketTarget, err = probeTarget("--udp-target", f.packetTarget); err != nil {
		return nil, err
	}
	k.Cipher, err = a.probeCipher(info.Name, f.password, takes)
	return k, err
}

func probeTarget(flag, text string) (core.Addr, error) {
	var s option.Server
	if err := s.UnmarshalText([]byte(text)); err != nil {
		return core.Addr{}, fmt.Errorf("%s: %w", flag, err)
	}
	return s.Addr(), nil
}

// probeCipher reads the password and makes the cipher.
func (a *app) probeCipher(method string, p option.Password, takes bool) (core.Cipher, error) {
	secret, flag := option.Text(""), "--password-env"
	if p.PasswordFile != "" {
		flag = "--password-file"
	}
	var err error
	if takes {
		secret, err = p.Read(slog.New(&textHandler{w: plainLines{a.Stderr}, least: slog.LevelWarn}))
	}
	var c core.Cipher
	if err == nil {
		kind, _ := a.reg.Cipher.Lookup(method)
		c, err = methods.New(kind, secret.Reveal())
	}
	if bad, ok := errors.AsType[*core.OptionError](err); ok {
		err = fmt.Errorf("%s: %w", flag, bad.Err)
	}
	return c, fail(err)
}

// probe says what it will do, does it, and writes what came of it.
func (a *app) probe(cfg probe.Config, asJSON bool) error {
	plan, err := probe.NewPlan(cfg)
	if err != nil {
		return fail(err)
	}
	a.announce(cfg, plan)
	ctx, stop := a.untilSignal()
	defer stop()
	res, err := a.runPlan(ctx, plan)
	stopped := ctx.Err() != nil
	switch {
	case err != nil && stopped:
		return fail(errors.New("stopped before the first probe"))
	case err != nil:
		return fail(err)
	}
	v := probe.Judge(res)
	if asJSON {
		err = probe.WriteJSON(a.Stdout, res, v)
	} else if err = probe.WriteTable(a.Stdout, res); err == nil {
		fmt.Fprintln(a.Stdout)
		err = probe.WriteVerdict(a.Stdout, res, v)
	}
	if err == nil && !v.Clean() {
		return &failure{}
	}
	return fail(err)
}

// announce says what will be sent, before anything is.
func (a *app) announce(cfg probe.Config, plan *probe.Plan) {
	what := "random bytes of many lengths and the first bytes of other protocols"
	if cfg.Key != nil {
		what += fmt.Sprintf(", and requests for %s, valid, repeated, changed and cut off", cfg.Key.Target)
	}
	if cfg.Packets {
		what += "; over UDP too"
	}
	fmt.Fprintf(a.Stderr, "probing %s: %s\nat most %s and %d KiB sent; takes about %s, at most %s; Ctrl-C ends it and shows what was seen\n",
		cfg.Server, what, count(plan.Connections(), "connection"), (plan.Bytes()+1023)/1024,
		plan.Left(0, 0).Round(time.Second), plan.Longest().Round(time.Second))
}

// runPlan runs a plan with a bar that goes on while nothing happens.
func (a *app) runPlan(ctx context.Context, plan *probe.Plan) (*probe.Result, error) {
	p := progress{to: a.Stderr, total: cmp.Or(plan.Probes(), 1), on: isTerminal(a.Stderr)}
	defer p.end()
	type step struct {
		done int
		last probe.Record
	}
	type outcome struct {
		res *probe.Result
		err error
	}
	steps, end := make(chan step), make(chan outcome, 1)
	go func() {
		res, err := plan.Run(ctx, func(done int, r probe.Record) { steps <- step{done, r} })
		end <- outcome{res, err}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	done, since, longest := 0, time.Now(), time.Duration(0)
	for {
		left := max(0, plan.Left(done, longest)-time.Since(since))
		p.show(done, fmt.Sprintf("about %s left", left.Round(time.Second)))
		select {
		case s := <-steps:
			done, since = s.done, time.Now()
			if s.last.Finish == probe.Open {
				longest = max(longest, s.last.After)
			}
		case <-tick.C:
		case o := <-end:
			return o.res, o.err
		}
	}
}
