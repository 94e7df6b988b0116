package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"github.com/umbra-proxy/umbra/core/link"
)

func (a *app) uriCommand() *cobra.Command {
	var asJSON, asQR, asTOML bool
	var png string
	cmd := &cobra.Command{
		Use:   "uri LINK...",
		Short: "read ss:// links, and show them as QR codes",
		Long: `uri tells what ss:// links say, and writes each of them anew, as SIP002 has it:
whatever form a link has, phones and other programs read the one that is printed. The
passwords are in what is printed. Links come from the standard input for "-", one a line.`,
		Example: `  umbra uri 'ss://YWVzLTI1Ni1nY206cGFzc3dvcmQ@example.net:8388#home'
  umbra uri --qr - < link.txt
  umbra uri --toml 'ss://…' > local.toml`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("want a LINK")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			links, err := a.readLinks(args)
			if err != nil {
				return fail(err)
			}
			switch {
			case asJSON:
				return fail(a.writeLinksJSON(links))
			case asTOML:
				var texts []string
				for _, l := range links {
					texts = append(texts, l.Server.String())
				}
				text, err := a.textOfLinks(texts, defaultListen)
				if err == nil {
					_, err = fmt.Fprint(a.Stdout, text)
				}
				return fail(err)
			case png != "":
				if len(links) != 1 {
					return errors.New("--png is for one link")
				}
				return fail(writePNG(png, links[0]))
			}
			for i, l := range links {
				if i > 0 {
					fmt.Fprintln(a.Stdout)
				}
				fmt.Fprint(a.Stdout, linkText(l))
				fmt.Fprintf(a.Stdout, "%-9s %s\n", "link", l.Server)
				if asQR {
					code, err := qr.Encode(l.Server.String(), qr.M)
					if err != nil {
						return fail(err)
					}
					fmt.Fprint(a.Stdout, "\n"+blocks(code))
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asQR, "qr", false, "draw a QR code of each link")
	cmd.Flags().StringVar(&png, "png", "", "write the QR code of one link to a new `FILE`, as PNG")
	cmd.Flags().BoolVar(&asTOML, "toml", false, "print the file of a local side, as umbra run LINK runs it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array of what the links say")
	cmd.MarkFlagsMutuallyExclusive("json", "toml", "png", "qr")
	return cmd
}

// readLinks reads links of arguments, or of the standard input for "-".
func (a *app) readLinks(args []string) ([]link.Link, error) {
	if len(args) == 1 && args[0] == "-" {
		text, err := a.readStdin()
		if err != nil {
			return nil, err
		}
		return link.ParseAll(string(text))
	}
	var links []link.Link
	var errs []error
	for i, arg := range args {
		l, err := link.Parse(arg)
		if err != nil && len(args) > 1 {
			err = fmt.Errorf("link %d: %w", i+1, err)
		}
		links, errs = append(links, l), append(errs, err)
	}
	return links, errors.Join(errs...)
}

// linkJSON is what a link says, for programs.
type linkJSON struct {
	Name     string   `json:"name,omitempty"`
	Server   string   `json:"server"`
	Port     int      `json:"server_port"`
	Method   string   `json:"method"`
	Password string   `json:"password"`
	Plugin   string   `json:"plugin,omitempty"`
	Options  string   `json:"plugin_opts,omitempty"`
	Ignored  []string `json:"ignored,omitempty"`
	Link     string   `json:"link"`
}

func (a *app) writeLinksJSON(links []link.Link) error {
	all := []linkJSON{}
	for _, l := range links {
		all = append(all, linkJSON{l.Name, l.Host, l.Port, l.Method, l.Password, l.Plugin, l.PluginOptions, l.Unknown, l.Server.String()})
	}
	e := json.NewEncoder(a.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(all)
}

// writePNG writes a QR code to a file that does not exist yet, for its owner alone: it holds
// the password.
func writePNG(path string, l link.Link) error {
	code, err := qr.Encode(l.Server.String(), qr.M)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(code.PNG())
	return errors.Join(err, f.Close())
}

// quiet is the margin around a QR code that its readers need, in modules (ISO/IEC 18004).
const quiet = 4

// blocks draws a QR code of half blocks: two modules above one another are one character. Both
// colours are given, so that it can be read on a dark and on a light terminal.
func blocks(code *qr.Code) string {
	const black, reset = "\x1b[30;107m", "\x1b[0m" // on white
	dark := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < code.Size && y < code.Size && code.Black(x, y)
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString(black)
		for x := -quiet; x < code.Size+quiet; x++ {
			switch above, below := dark(x, y), dark(x, y+1); {
			case above && below:
				b.WriteString("█")
			case above:
				b.WriteString("▀")
			case below:
				b.WriteString("▄")
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString(reset + "\n")
	}
	return b.String()
}
