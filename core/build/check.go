package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// startPatience is the maximum time for one command of the new program.
const startPatience = 30 * time.Second

// deliver checks that the new program starts, moves it to output, and reports its
// version and its new kinds. If the program does not start, output stays unchanged.
func (b *Builder) deliver(ctx context.Context, binary, output string, g *toolchain) error {
	file, err := copyBeside(binary, output, g.exe)
	if err != nil {
		return fmt.Errorf("write %s: %w", output, err)
	}
	defer os.Remove(file) // fails after the rename
	report := fmt.Sprintf("%s: for %s/%s, so it was not run here\n", output, g.os, g.arch)
	if !g.foreign() {
		version, err := b.try(ctx, file, "version")
		if err != nil {
			return err
		}
		kinds, err := b.try(ctx, file, "kinds")
		if err != nil {
			return err
		}
		report = output + ": " + version + compareKinds(b.Registry, kinds)
	}
	if err := os.Rename(file, output); err != nil {
		return fmt.Errorf("write %s: %w", output, err)
	}
	_, err = io.WriteString(b.Stdout, report)
	return err
}

// copyBeside copies the program to a new file in the folder of output, and returns its
// name. The file can be run there; a temporary folder may be mounted noexec.
func copyBeside(binary, output, exe string) (name string, err error) {
	from, err := os.Open(binary)
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := os.CreateTemp(filepath.Dir(output), ".umbra-build-*"+exe)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	err = errors.Join(err, to.Chmod(0o755), to.Close())
	if err != nil {
		os.Remove(to.Name())
		return "", err
	}
	return filepath.Abs(to.Name())
}

// try runs a command of the new program and returns its output.
func (b *Builder) try(ctx context.Context, file, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, file, command)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", explainStart(command, stderr.String(), err)
	}
	return stdout.String(), nil
}

var registeredTwice = regexp.MustCompile(`kind ("[^"]*") is registered twice`)

// explainStart returns the error for a command at which the new program failed.
func explainStart(command, stderr string, err error) error {
	if m := registeredTwice.FindStringSubmatch(stderr); m != nil {
		return fmt.Errorf("the new program does not start: kind %s is registered twice; umbra or another package registers that name already, so rename one of them", m[1])
	}
	if stderr = strings.TrimSpace(stderr); stderr != "" {
		return fmt.Errorf("the new program fails at \"umbra %s\": %w; its output:\n%s", command, err, stderr)
	}
	return fmt.Errorf("the new program fails at \"umbra %s\": %w", command, err)
}

// compareKinds lists the kinds of the new program that this one lacks, and the reverse.
// kinds is the output of the new program's command "kinds".
func compareKinds(reg *core.Registry, kinds string) string {
	theirs := parseKinds(kinds)
	var ours []string
	for _, s := range core.Sections() {
		for _, name := range reg.Section(s).Names() {
			ours = append(ours, string(s)+"."+name)
		}
	}
	var b strings.Builder
	for _, kind := range theirs {
		if !slices.Contains(ours, kind) {
			fmt.Fprintf(&b, "new: %s\n", kind)
		}
	}
	if b.Len() == 0 {
		b.WriteString("new: none; this program has all its kinds\n")
	}
	for _, kind := range ours {
		if !slices.Contains(theirs, kind) {
			fmt.Fprintf(&b, "missing: %s, which this program has; add its --with\n", kind)
		}
	}
	return b.String()
}

// parseKinds parses the output of "umbra kinds": a section in each line that is not
// indented, and its kinds below it.
func parseKinds(text string) []string {
	var all []string
	section := core.Section("")
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case !strings.HasPrefix(line, " "):
			section = core.Section(fields[0])
		case slices.Contains(core.Sections(), section):
			all = append(all, string(section)+"."+fields[0])
		}
	}
	return all
}

// explainGo writes the full output of a failed go command, and returns an error that
// names the folders of the plugins and the mend, as far as they are known. version is
// that of umbra, or "" for a checkout. Other errors are returned unchanged.
func (b *Builder) explainGo(err error, plugins []Plugin, version string) error {
	failed, ok := errors.AsType[*goError](err)
	if !ok {
		return err
	}
	if !failed.shown {
		_, _ = io.WriteString(b.Stderr, failed.output) // a failed write can't be reported
	}
	lines := []string{err.Error()}
	for _, p := range plugins {
		if p.local() && strings.Contains(failed.output, p.path) {
			lines = append(lines, p.path+" is in "+p.folder)
		}
	}
	lines = append(lines, advise(failed.output, plugins)...)
	if version != "" && strings.Contains(failed.output, Module+"@"+version) {
		lines = append(lines, "if umbra "+version+" is not published, give the folder of a checkout: --source DIR")
	}
	return &explained{text: strings.Join(lines, "\n"), err: err}
}

// explained is an error with additional lines.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

var (
	noRegister    = regexp.MustCompile(`undefined: plugin(\d+)\.Register`)
	otherRegister = regexp.MustCompile(`cannot use plugin(\d+)\.Register `)
)

// advise returns what is wrong with the Register functions of plugins.
func advise(output string, plugins []Plugin) []string {
	const want = "it needs: func Register(reg *core.Registry)"
	var lines []string
	for _, known := range []struct {
		in   *regexp.Regexp
		text string
	}{
		{noRegister, "%s has no function Register; " + want},
		{otherRegister, "Register of %s has another signature; " + want},
	} {
		for _, m := range known.in.FindAllStringSubmatch(output, -1) {
			if n, err := strconv.Atoi(m[1]); err == nil && n >= 1 && n <= len(plugins) {
				lines = append(lines, fmt.Sprintf(known.text, plugins[n-1].path))
			}
		}
	}
	return lines
}
