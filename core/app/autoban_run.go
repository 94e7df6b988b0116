package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/umbra-proxy/umbra/core/autoban"
)

// maxLogLine bounds a line of a log that is looked at, in bytes. No line with a
// client is as long.
const maxLogLine = 64 << 10

// banner puts bans in force.
type banner interface {
	Ban(client netip.Prefix, d time.Duration) error
	Close() error
}

// autoban follows the log on the standard input until its end or a signal.
func (a *app) autoban(rules autoban.Rules, dryRun bool) error {
	signals, stop := a.Signals()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b := &banning{app: a, jail: autoban.NewJail(rules)}
	if dryRun {
		fmt.Fprintf(a.Stderr, "would make the table inet %s\n", autoban.TableName)
		b.table = pretence{a.Stderr}
		return b.follow(ctx, signals)
	}
	table, err := autoban.OpenTable()
	if err != nil {
		return err
	}
	b.table, b.holds = table, true
	return b.follow(ctx, signals)
}

// banning is a run of autoban.
type banning struct {
	*app
	jail  *autoban.Jail
	table banner
	holds bool      // bans are in force, so the end of the log must not end them
	last  time.Time // end of the ban that ends last
}

// follow bans until the end of the log or a signal, and closes the table.
func (b *banning) follow(ctx context.Context, signals <-chan os.Signal) (err error) {
	defer func() {
		if closed := b.table.Close(); err == nil {
			err = closed
		}
	}()
	// The reader can't be told to end while it waits for a line: it is left to the
	// end of the process.
	failures, end := make(chan autoban.Failure), make(chan error, 1)
	go func() { end <- readFailures(ctx, b.Stdin, failures) }()
	var idle <-chan time.Time // set by the end of the log
	for {
		select {
		case f := <-failures:
			b.add(f)
		case err := <-end:
			left := time.Until(b.last)
			if err != nil || !b.holds || left <= 0 {
				return err
			}
			fmt.Fprintf(b.Stderr, "umbra autoban: end of the log; bans hold for %s, or until a signal\n", left.Round(time.Second))
			idle = time.After(left)
		case <-idle:
			return nil
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				return nil
			}
		}
	}
}

// add counts a failure, and bans its client if it is one too many.
func (b *banning) add(f autoban.Failure) {
	now := time.Now()
	ban, banned := b.jail.Add(f, now)
	if !banned {
		return
	}
	if err := b.table.Ban(ban.Client, ban.Duration); err != nil {
		fmt.Fprintf(b.Stderr, "umbra autoban: %s is not banned: %v\n", clientName(ban.Client), err)
		return
	}
	if until := now.Add(ban.Duration); until.After(b.last) {
		b.last = until
	}
	fmt.Fprintf(b.Stdout, "ban %s for %s: %s in %s\n", clientName(ban.Client), ban.Duration,
		count(ban.Failures, "failure"), ban.Took.Round(time.Second))
}

// clientName returns a client as people write one: without the bits of one address.
func clientName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// readFailures sends what the lines of r tell until its end, or until ctx ends.
// Lines that are too long are skipped.
func readFailures(ctx context.Context, r io.Reader, to chan<- autoban.Failure) error {
	lines := bufio.NewReaderSize(r, maxLogLine)
	for whole := true; ; {
		line, err := lines.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		if whole && !long {
			if f, ok := autoban.Parse(line); ok {
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

// pretence is a banner that says what it would do.
type pretence struct{ to io.Writer }

func (p pretence) Ban(client netip.Prefix, d time.Duration) error {
	_, err := fmt.Fprintf(p.to, "would drop packets of %s for %s\n", clientName(client), d)
	return err
}

func (p pretence) Close() error {
	_, err := fmt.Fprintf(p.to, "would delete the table inet %s\n", autoban.TableName)
	return err
}
