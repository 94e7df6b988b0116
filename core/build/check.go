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

// startPatience is how long the new program may take to tell its version.
const startPatience = 30 * time.Second

// deliver puts the new program in the place of output, once it has been seen to
// start, and tells its version and its new kinds. One that does not start leaves
// what is there as it was.
func (b *Builder) deliver(ctx context.Context, binary, output string, g *toolchain) error {
	file, err := copyBeside(binary, output, g.exe)
	if err != nil {
		return fmt.Errorf("write %s: %w", output, err)
	}
	defer os.Remove(file) // fails once it has been moved
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

// copyBeside copies the program to a new file in the folder of output, and returns
// its name. It can be run there, which a temporary folder may forbid.
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

// try runs the new program and returns what it writes.
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

// explainStart says why the new program failed at a command.
func explainStart(command, stderr string, err error) error {
	if m := registeredTwice.FindStringSubmatch(stderr); m != nil {
		return fmt.Errorf("the new program does not start: kind %s is registered twice; umbra has it, or two packages do, so give one of them another name", m[1])
	}
	if stderr = strings.TrimSpace(stderr); stderr != "" {
		return fmt.Errorf("the new program fails at \"umbra %s\": %w; it says\n%s", command, err, stderr)
	}
	return fmt.Errorf("the new program fails at \"umbra %s\": %w", command, err)
}

// compareKinds says which kinds a program has that this one has not, and the other
// way around. kinds is what the program's command of that name writes.
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
		b.WriteString("new: no kind that this program has not\n")
	}
	for _, kind := range ours {
		if !slices.Contains(theirs, kind) {
			fmt.Fprintf(&b, "not in it: %s, which this program has; give its --with too\n", kind)
		}
	}
	return b.String()
}

// parseKinds reads what "umbra kinds" writes: a section in each line that is not
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

// explainGo shows the output of a go command that failed, whole, and returns an
// error that says where the plugins are and what to mend, as far as that can be
// told. version is that of umbra, if it is no checkout. Another error stays as it
// is.
func (b *Builder) explainGo(err error, plugins []Plugin, version string) error {
	failed, ok := errors.AsType[*goError](err)
	if !ok {
		return err
	}
	if !failed.shown {
		_, _ = io.WriteString(b.Stderr, failed.output) // with nobody to tell if that fails
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

// explained is an error with more to say.
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

// advise says what is wrong with a plugin's Register.
func advise(output string, plugins []Plugin) []string {
	const want = "it needs: func Register(reg *core.Registry)"
	var lines []string
	for _, known := range []struct {
		in   *regexp.Regexp
		text string
	}{
		{noRegister, "%s has no Register; " + want},
		{otherRegister, "Register of %s is something else; " + want},
	} {
		for _, m := range known.in.FindAllStringSubmatch(output, -1) {
			if n, err := strconv.Atoi(m[1]); err == nil && n >= 1 && n <= len(plugins) {
				lines = append(lines, fmt.Sprintf(known.text, plugins[n-1].path))
			}
		}
	}
	return lines
}
