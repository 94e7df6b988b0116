package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// goPatience is the time that the go command gets to end after an interrupt. It waits
// for its compilers.
const goPatience = 10 * time.Second

// toolchain is the go command, working in a folder.
type toolchain struct {
	path   string
	folder string
	live   io.Writer         // receives the output as it is written, or nil
	places *strings.Replacer // replaces relative folders in the output, or nil

	os, arch, exe, version string // of the programs that it builds
}

// errNoGo is the error for a machine without a go command.
var errNoGo = errors.New(`no go command in PATH, and umbra build compiles Go code
install Go 1.26 or newer, from https://go.dev/dl/ or as the package "golang" of your system`)

// findGo returns the go command in PATH, set up to work in folder.
func findGo(ctx context.Context, folder string) (*toolchain, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return nil, errNoGo
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	g := &toolchain{path: path, folder: folder}
	out, err := g.run(ctx, "env", "-json", "GOOS", "GOARCH", "GOEXE", "GOVERSION")
	if err != nil {
		return nil, err
	}
	var env struct{ GOOS, GOARCH, GOEXE, GOVERSION string }
	if err := json.Unmarshal([]byte(out), &env); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	g.os, g.arch, g.exe, g.version = env.GOOS, env.GOARCH, env.GOEXE, env.GOVERSION
	return g, nil
}

// module returns the module whose go.mod is in root.
func (g *toolchain) module(ctx context.Context, root string) (goModule, error) {
	out, err := g.run(ctx, "mod", "edit", "-json", filepath.Join(root, "go.mod"))
	if err != nil {
		return goModule{}, err
	}
	var file struct{ Module struct{ Path string } }
	if err := json.Unmarshal([]byte(out), &file); err != nil {
		return goModule{}, fmt.Errorf("go mod edit: %w", err)
	}
	if file.Module.Path == "" {
		return goModule{}, fmt.Errorf("%s has no module line", filepath.Join(root, "go.mod"))
	}
	return goModule{path: file.Module.Path, root: root}, nil
}

// goError is the failure of a go command.
type goError struct {
	command string
	output  string
	shown   bool // the output was shown already
	err     error
}

func (e *goError) Error() string { return fmt.Sprintf("go %s: %v", e.command, e.err) }
func (e *goError) Unwrap() error { return e.err }

// run runs the go command and returns its standard output. The error is a goError.
func (g *toolchain) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.path, args...)
	cmd.Dir = g.folder
	// The user's workspace and modes are for the user's own modules.
	cmd.Env = append(os.Environ(), "PWD="+g.folder, "GOWORK=off", "GO111MODULE=on")
	if os.Getenv("CGO_ENABLED") == "" {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0") // a static program, as that of make build
	}
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) == nil {
			return nil
		}
		return cmd.Process.Kill() // a system without signals
	}
	cmd.WaitDelay = goPatience
	var stdout, all bytes.Buffer
	var both io.Writer = &all
	if g.live != nil {
		both = io.MultiWriter(&all, g.live)
	}
	output := &lineWriter{to: both, places: g.places}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, output), output
	err := cmd.Run()
	output.flush()
	if err != nil {
		return "", &goError{command: args[0], output: all.String(), shown: g.live != nil, err: err}
	}
	return stdout.String(), nil
}

// showFolders makes the output show the folders of modules as given, where the go command
// writes them relative to its own folder.
func (g *toolchain) showFolders(modules []goModule) {
	var pairs []string
	for _, m := range modules {
		if way, err := filepath.Rel(g.folder, m.root); err == nil && m.root != "" {
			pairs = append(pairs, way+string(filepath.Separator), m.root+string(filepath.Separator))
		}
	}
	g.places = strings.NewReplacer(pairs...)
}

// lineWriter writes whole lines. It is safe for concurrent use.
type lineWriter struct {
	places *strings.Replacer // may be nil

	mu   sync.Mutex
	to   io.Writer // guarded by mu, as are the fields below
	rest []byte    // an incomplete line
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	end := bytes.LastIndexByte(w.rest, '\n') + 1
	w.put(w.rest[:end])
	w.rest = w.rest[:copy(w.rest, w.rest[end:])]
	return len(p), nil
}

// flush writes an incomplete last line.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(w.rest)
	w.rest = nil
}

func (w *lineWriter) put(lines []byte) {
	if w.places != nil {
		_, _ = w.places.WriteString(w.to, string(lines)) // output that can't be shown must not stop the build
	} else {
		_, _ = w.to.Write(lines)
	}
}
