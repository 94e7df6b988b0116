package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// answerForm is how the answer to a command is printed.
type answerForm int

const (
	asText answerForm = iota // the component's own text, or else indented JSON
	asJSON                   // one line
)

func (a *app) commandCommand() *cobra.Command {
	inJSON := false
	cmd := &cobra.Command{
		Use:   "command [--json] FILE SECTION.NAME [WORD...]",
		Short: "send a command to a component of the running process",
		Long: `command sends words to one component of the process that runs FILE, through the
socket of its [admin] table, and prints the answer. Each kind that takes commands
has words of its own; its page tells them. Flags stand before FILE: all that comes
after it is for the component.`,
		Example: `  umbra command server.toml policy.ban add 203.0.113.7 24h
  umbra command --json server.toml policy.ban list`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeComponent,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("want FILE and SECTION.NAME, got %d arguments", len(args))
			}
			_, err := parseID(args[1])
			return err
		},
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := a.load(args[0])
			if err != nil {
				return fail(err)
			}
			id, _ := parseID(args[1])
			if f.Components[id] == nil {
				return fail(fmt.Errorf("%s has no %s%s", f.Name, id, config.DidYouMean(id.String(), componentNames(f))))
			}
			form := asText
			if inJSON {
				form = asJSON
			}
			return fail(a.command(f, id, args[2:], form))
		},
	}
	cmd.Flags().BoolVar(&inJSON, "json", false, "print the answer as one line of JSON")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// parseID reads section.name.
func parseID(text string) (config.ID, error) {
	section, name, _ := strings.Cut(text, ".")
	if section == "" || name == "" {
		return config.ID{}, fmt.Errorf("%q is not a SECTION.NAME; write %q", text, "policy.ban")
	}
	return config.ID{Section: core.Section(section), Name: name}, nil
}

// componentNames returns the IDs of a file's components, in any order.
func componentNames(f *config.File) []string {
	var names []string
	for id := range f.Components {
		names = append(names, id.String())
	}
	return names
}

// command has the running process of a file do a command, and prints the answer.
func (a *app) command(f *config.File, id config.ID, words []string, form answerForm) error {
	answer, err := askRunning(f, adminRequest{Section: id.Section, Name: id.Name, Words: words, Text: form == asText})
	if err != nil {
		return err
	}
	text := answer.Text
	if answer.Result != nil {
		if text, err = readable(answer.Result, form); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
	}
	if text != "" {
		_, err = fmt.Fprintln(a.Stdout, core.Visible(text, "\n\t"))
	}
	return err
}

// readable returns JSON as it is printed: a string without its quotes, null as nothing,
// and all else indented, unless one line of JSON is wanted.
func readable(result json.RawMessage, form answerForm) (string, error) {
	if form == asJSON {
		return string(result), nil
	}
	var text string
	if json.Unmarshal(result, &text) == nil {
		return text, nil
	}
	var b bytes.Buffer
	err := json.Indent(&b, result, "", "  ")
	return b.String(), err
}

// askRunning sends a request to the running process of a file.
func askRunning(f *config.File, request adminRequest) (answer adminAnswer, err error) {
	if f.Admin.Socket == "" {
		return answer, errNoSocket(f)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return answer, err
	}
	client := http.Client{Timeout: 3 * adminTimeout, Transport: adminTransport(f)}
	defer client.CloseIdleConnections()
	resp, err := client.Post("http://umbra"+adminPath, "application/json", bytes.NewReader(body))
	if err != nil {
		return answer, errNotReached(f, err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("read the answer: %w", err)
	}
	if answer.Error != "" {
		return answer, fmt.Errorf("%s: %s", config.ID{Section: request.Section, Name: request.Name}, answer.Error)
	}
	return answer, nil
}

// reach returns an error if no process takes commands for a file.
func reach(f *config.File) error {
	if f.Admin.Socket == "" {
		return errNoSocket(f)
	}
	c, err := net.Dial("unix", f.Admin.Socket)
	if err != nil {
		return errNotReached(f, err)
	}
	return c.Close()
}

func errNoSocket(f *config.File) error {
	return fmt.Errorf("%s has no [admin] socket, through which the running process could be asked; add\n\n  [admin]\n  socket = \"umbra.sock\"", f.Name)
}

func errNotReached(f *config.File, err error) error {
	return fmt.Errorf("reach the running process at %s: %w; is it running, with this file?", f.Admin.Socket, cause(err))
}
