package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/methods"
)

// benchTime is how long each figure is measured, unless a flag says otherwise.
const benchTime = 200 * time.Millisecond

func (a *app) benchCommand() *cobra.Command {
	bench := &cobra.Command{
		Use:     "bench WHAT",
		Short:   "measure this machine",
		Long:    "bench measures what this machine can do.",
		Example: `  umbra bench ciphers`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("unknown bench %q%s", args[0], config.DidYouMean(args[0], commandNames(cmd)))
		},
		RunE:                  func(*cobra.Command, []string) error { return errors.New("want ciphers") },
		DisableFlagsInUseLine: true,
	}
	bench.AddCommand(a.benchCiphersCommand())
	return bench
}

func (a *app) benchCiphersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ciphers [METHOD...]",
		Short: "measure encryption methods, and tell which is fastest here",
		Long: `ciphers measures methods on one processor of this machine, all of them or those
that are named: sealing and opening a stream, and datagrams of 1,400 bytes that are
sealed and opened again. It uses memory alone and no network. A method that does not
authenticate is marked as insecure, and never the one to choose.`,
		Example: `  umbra bench ciphers
  umbra bench ciphers aes-256-gcm chacha20-ietf-poly1305`,
		ValidArgsFunction:     a.completeMethod,
		DisableFlagsInUseLine: true,
	}
	each := cmd.Flags().Duration("time", benchTime, "how long each figure is measured")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *each <= 0 {
			return fmt.Errorf("--time %s is not positive", *each)
		}
		methods, err := a.methods(args)
		if err != nil {
			return err
		}
		return fail(a.benchCiphers(methods, *each))
	}
	return cmd
}

// methods returns the methods with these names, without doubles, or all.
func (a *app) methods(names []string) ([]string, error) {
	if len(names) == 0 {
		return a.reg.Cipher.Names(), nil
	}
	var methods []string
	for _, name := range names {
		info, err := a.method(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(methods, info.Name) {
			methods = append(methods, info.Name)
		}
	}
	return methods, nil
}

// benchCiphers measures methods and writes a table, the fastest first.
func (a *app) benchCiphers(names []string, each time.Duration) error {
	p := progress{to: a.Stderr, total: len(names), on: isTerminal(a.Stderr)}
	defer p.end()
	var all []methods.Speed
	for i, name := range names {
		p.show(i, name)
		kind, _ := a.reg.Cipher.Lookup(name)
		s, err := methods.Measure(kind, each)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, s)
	}
	p.end()
	slices.SortStableFunc(all, func(a, b methods.Speed) int { return cmp.Compare(b.Slower(), a.Slower()) })
	t := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "method\tseal, MB/s\topen, MB/s\tdatagrams/s")
	for _, s := range all {
		datagrams := "none"
		if s.Datagrams > 0 {
			datagrams = fmt.Sprintf("%.0f", s.Datagrams)
		}
		name := s.Method
		if s.Insecure {
			name += " (insecure)"
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%s\n", name, s.Seal, s.Open, datagrams)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(a.Stdout, advice(all))
	return err
}

// advice tells which method to choose, of those that authenticate.
func advice(all []methods.Speed) string {
	const edition = "2022-" // what the names of SIP022 begin with
	all = slices.DeleteFunc(slices.Clone(all), func(s methods.Speed) bool { return s.Insecure })
	if len(all) < 2 {
		return ""
	}
	text := "\nfastest here: " + all[0].Method + "\n"
	i := slices.IndexFunc(all, func(s methods.Speed) bool { return strings.HasPrefix(s.Method, edition) })
	if i > 0 {
		text += "where both ends have the 2022 edition, which refuses replays for good: " + all[i].Method + "\n"
	}
	return text
}

// progress draws a bar while something takes long, for a person who looks on.
type progress struct {
	to    io.Writer
	total int
	on    bool
}

// show draws the bar with done parts of the total, and what is next.
func (p *progress) show(done int, next string) {
	if !p.on {
		return
	}
	const width = 24
	full := done * width / p.total
	fmt.Fprintf(p.to, "\r\x1b[K[%s%s] %d of %d  %s", strings.Repeat("#", full), strings.Repeat(".", width-full), done, p.total, next)
}

// end takes the bar away; it may be called again.
func (p *progress) end() {
	if p.on {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.on = false
	}
}

// isTerminal reports whether a person sees what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
