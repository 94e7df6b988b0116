package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core/autoban"
	"github.com/umbra-proxy/umbra/core/option"
)

// What the flags of umbra autoban are if they are not given. The count is that of
// the Python original's script.
const (
	autobanCount       = 3
	autobanWindow      = 10 * time.Minute
	autobanDuration    = 10 * time.Minute
	autobanMaxDuration = 7 * 24 * time.Hour
)

// autobanFlags are the flags of umbra autoban.
type autobanFlags struct {
	rules            autoban.Rules
	exempt           []string
	noExemptLoopback bool
	dryRun           bool
}

func (a *app) autobanCommand() *cobra.Command {
	var f autobanFlags
	cmd := &cobra.Command{
		Use:   "autoban",
		Short: "ban clients by the failed handshakes in a log",
		Long: `autoban reads a log on its standard input, umbra's in any format or that of the
Python original, and has nftables drop all that comes from clients with too many
failed handshakes: an IPv4 address, or the /64 of an IPv6 one. Of umbra's lines, ten
with reason=short or malformed count as one. It writes a line for each ban, and puts
bans back that other software deletes. Where umbra itself is the server, the policy "ban" does better: it needs no
rights and knows the true client behind a balancer.

Its table, inet umbra_autoban, goes with it: at a signal, or after the end of the log
once the last ban has ended. With --dry-run it changes nothing, and ends with the log.

Exit status: 0 at the end of the log or by a signal, 1 if nftables can't be used or
reading fails, 2 for wrong usage.`,
		Example: `  umbra run server.toml 2>&1 | tee umbra.log | sudo umbra autoban
  tail -n 0 -F /var/log/shadowsocks.log | sudo umbra autoban --count 5 --exempt 192.0.2.0/24
  umbra autoban --dry-run <umbra.log`,
		Args:                  none,
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.IntVarP(&f.rules.Count, "count", "c", autobanCount, fmt.Sprintf("how many failed handshakes ban a client, 1 to %d", autoban.MaxCount))
	flags.DurationVar(&f.rules.Window, "window", autobanWindow, "in what time they fall, by the lines' own times")
	flags.DurationVar(&f.rules.Duration, "duration", autobanDuration, "how long a first ban lasts; each further one twice as long")
	flags.DurationVar(&f.rules.MaxDuration, "max-duration", autobanMaxDuration, "but no longer than this")
	flags.StringSliceVar(&f.exempt, "exempt", nil, "a `CIDR` range that is never banned; may be given again")
	flags.BoolVar(&f.noExemptLoopback, "no-exempt-loopback", false, "ban this machine's own programs too")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and do nothing")
	for _, name := range []string{"count", "window", "duration", "max-duration", "exempt"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions) // fails for an unknown flag alone
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := f.check(); err != nil {
			return err
		}
		return fail(a.autoban(f.rules, f.dryRun))
	}
	return cmd
}

// check completes the rules. Its errors are wrong usage.
func (f *autobanFlags) check() error {
	r := &f.rules
	switch {
	case r.Count < 1 || r.Count > autoban.MaxCount:
		return fmt.Errorf("--count %d is not between 1 and %d", r.Count, autoban.MaxCount)
	case r.Window <= 0:
		return fmt.Errorf("--window %s is not positive", r.Window)
	case r.Duration < time.Second:
		return fmt.Errorf("--duration %s is less than 1s", r.Duration)
	case r.MaxDuration < r.Duration:
		return errors.New("--max-duration is less than --duration")
	}
	for _, text := range f.exempt {
		var p option.Prefix
		if err := p.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("--exempt: %w", err)
		}
		r.Exempt = append(r.Exempt, p.Prefix)
	}
	if !f.noExemptLoopback {
		r.Exempt = append(r.Exempt, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return nil
}

// autoban follows the log on the standard input until its end or a signal.
func (a *app) autoban(rules autoban.Rules, dryRun bool) error {
	signals, stop := a.Signals()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	run := &autoban.Run{Jail: autoban.NewJail(rules), Log: a.Stdin, Stdout: a.Stdout, Stderr: a.Stderr}
	if dryRun {
		fmt.Fprintf(a.Stderr, "would make the table inet %s\n", autoban.TableName)
		run.Table = autoban.DryRun(a.Stderr)
		return run.Follow(ctx, signals)
	}
	table, err := autoban.OpenTable()
	if err != nil {
		return err
	}
	run.Table, run.Holds = table, true
	return run.Follow(ctx, signals)
}
