package autoban

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/nft"
)

// maxLogLine is the maximum length in bytes of a line that is parsed. No line that
// reports a client is as long.
const maxLogLine = 64 << 10

// Banner enforces bans.
type Banner interface {
	Ban(client netip.Prefix, d time.Duration) error
	// Repair puts back what other software has deleted, and returns how many times it had
	// to, as nft.Table does.
	Repair() (repairs int, err error)
	Close() error
}

// repairEvery is the interval between calls of Banner.Repair while a ban is in force.
const repairEvery = time.Second

// Run processes one log.
type Run struct {
	Jail   *Jail
	Table  Banner
	Log    io.Reader // read until EOF
	Stdout io.Writer // one line for each ban
	Stderr io.Writer // errors and notices

	// Holds makes Follow continue after the end of the log until the last ban has
	// expired, because Close would lift the bans that are in force.
	Holds bool

	last   time.Time // end of the ban that ends last
	failed string    // the last error of Table, "" after a success
}

// Follow bans clients until the end of the log or a signal, and closes the table.
func (r *Run) Follow(ctx context.Context, signals <-chan os.Signal) (err error) {
	defer func() {
		if closed := r.Table.Close(); err == nil {
			err = closed
		}
	}()
	// A blocked read of the log can't be cancelled: the goroutine is left to the end of
	// the process.
	failures, end := make(chan Failure), make(chan error, 1)
	go func() { end <- readFailures(ctx, r.Log, failures) }()
	var idle <-chan time.Time // set at the end of the log
	repair := time.NewTicker(repairEvery)
	defer repair.Stop()
	for {
		select {
		case f := <-failures:
			r.add(f)
		case err := <-end:
			left := time.Until(r.last)
			if err != nil || !r.Holds || left <= 0 {
				return err
			}
			fmt.Fprintf(r.Stderr, "umbra autoban: end of the log; bans stay in force for %s, or until a signal\n", left.Round(time.Second))
			idle = time.After(left)
		case <-repair.C:
			if time.Now().Before(r.last) {
				r.repair()
			}
		case <-idle:
			return nil
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				return nil
			}
		}
	}
}

// add counts a failure, and bans its client if the failure causes a ban.
func (r *Run) add(f Failure) {
	now := time.Now()
	ban, banned := r.Jail.Add(f, now)
	if !banned {
		return
	}
	err := r.Table.Ban(ban.Client, ban.Duration)
	if until := now.Add(ban.Duration); until.After(r.last) && !errors.Is(err, nft.ErrFull) {
		r.last = until // after other errors Repair tries again
	}
	if r.tell("ban "+clientName(ban.Client), err); err != nil {
		return
	}
	fmt.Fprintf(r.Stdout, "ban %s for %s: %s in %s\n", clientName(ban.Client), ban.Duration,
		count(ban.Failures, "failure"), ban.Took.Round(time.Second))
	if core.IsPrivate(ban.Client.Addr()) {
		fmt.Fprintf(r.Stderr, "umbra autoban: %s is a private address: a balancer, a container network or a gateway may stand behind it for many clients; if so, add --exempt %s\n",
			clientName(ban.Client), clientName(ban.Client))
	}
}

// repair puts back what other software has deleted.
func (r *Run) repair() {
	repairs, err := r.Table.Repair()
	r.tell("put the bans back", err)
	if repairs > 0 {
		fmt.Fprintf(r.Stderr, "umbra autoban: bans put back: other software had deleted or changed the table inet %s (%s); \"flush ruleset\" deletes the tables of all programs\n",
			TableName, count(repairs, "time"))
	}
}

// tell writes an error of the table, unless the one before it was the same.
func (r *Run) tell(what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != r.failed && text != "" {
		fmt.Fprintf(r.Stderr, "umbra autoban: %s: %s\n", what, text)
	}
	r.failed = text
}

// clientName formats a client; a single address is written without its prefix length.
func clientName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// readFailures sends the failures in the lines of a log until its end, or until ctx
// ends. Lines longer than maxLogLine are skipped.
func readFailures(ctx context.Context, log io.Reader, to chan<- Failure) error {
	lines := bufio.NewReaderSize(log, maxLogLine)
	for whole := true; ; {
		line, err := lines.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		if whole && !long {
			if f, ok := Parse(line); ok {
				select {
				case to <- f:
				case <-ctx.Done():
					return nil
				}
			}
		}
		switch whole = !long; {
		case err == io.EOF:
			return nil
		case err != nil && !long:
			return fmt.Errorf("read the log: %w", err)
		}
	}
}

// DryRun returns a Banner that only writes its actions to to.
func DryRun(to io.Writer) Banner { return dryRun{to} }

// count formats a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

type dryRun struct{ to io.Writer }

func (p dryRun) Ban(client netip.Prefix, d time.Duration) error {
	_, err := fmt.Fprintf(p.to, "would drop packets of %s for %s\n", clientName(client), d)
	return err
}

func (p dryRun) Repair() (int, error) { return 0, nil }

func (p dryRun) Close() error {
	_, err := fmt.Fprintf(p.to, "would delete the table inet %s\n", TableName)
	return err
}
