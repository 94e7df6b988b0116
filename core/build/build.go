// Package build compiles umbra together with packages of plugins, using the go
// command.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/umbra-proxy/umbra/core"
)

// Builder builds programs from umbra and plugins.
type Builder struct {
	Stdout   io.Writer      // the report of the finished build
	Stderr   io.Writer      // progress
	Registry *core.Registry // the kinds of this program, to list the new ones
}

// Options configure a build.
type Options struct {
	Source  string // the folder of a checkout of umbra; "" for the version of this program
	Output  string // the file to write; "" for umbra in the working folder
	Verbose bool   // show the output of the go command as it is written
	Keep    bool   // keep the temporary folder
}

// Build builds a program with plugins in a temporary folder, and moves the program to
// the output once it has started successfully.
func (b *Builder) Build(ctx context.Context, f Options, plugins []Plugin) error {
	folder, err := os.MkdirTemp("", "umbra-build-")
	if err != nil {
		return err
	}
	defer func() {
		if f.Keep {
			b.logf("kept %s", folder)
		} else {
			_ = os.RemoveAll(folder) // at worst the folder stays
		}
	}()
	g, err := findGo(ctx, folder)
	if err != nil {
		return b.explainGo(err, nil, "")
	}
	b.logf("%s, at %s", g.version, g.path)
	p, err := b.plan(ctx, g, f, plugins)
	if err != nil {
		return b.explainGo(err, nil, "")
	}
	output, err := outputFile(f.Output, g.exe)
	if err != nil {
		return err
	}
	if err := p.write(folder, g.version); err != nil {
		return err
	}
	binary := filepath.Join(folder, "umbra"+g.exe)
	if err := b.compile(ctx, g, p, binary, f.Verbose); err != nil {
		return b.explainGo(err, plugins, p.version)
	}
	return b.deliver(ctx, binary, output, g)
}

// logf reports progress.
func (b *Builder) logf(format string, args ...any) { fmt.Fprintf(b.Stderr, format+"\n", args...) }

// plan determines the modules of the build.
func (b *Builder) plan(ctx context.Context, g *toolchain, f Options, plugins []Plugin) (*program, error) {
	p := &program{plugins: plugins}
	if f.Source != "" {
		m, err := sourceModule(ctx, g, f.Source)
		if err != nil {
			return nil, err
		}
		p.umbra = m
		b.logf("umbra from %s", f.Source)
	} else {
		info, ok := debug.ReadBuildInfo()
		if ok {
			p.version = published(info)
		}
		if p.version == "" {
			return nil, errors.New("this program was built from a checkout and has no version that the go command could download; give the folder of a checkout of umbra: --source DIR")
		}
		b.logf("umbra %s", p.version)
	}
	for _, plugin := range plugins {
		if plugin.local() {
			m, err := plugin.locate(ctx, g)
			if err != nil {
				return nil, err
			}
			if err := p.add(m); err != nil {
				return nil, fmt.Errorf("--with %s: %w", plugin.path, err)
			}
		}
		b.logf("with %s", plugin)
	}
	return p, nil
}

// outputFile returns the file to write. It returns an error if name is a folder.
func outputFile(name, exe string) (string, error) {
	if name == "" {
		name = "umbra" + exe
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("-o %s exists and is not a regular file; choose another name", name)
	}
	if err := isFolder(filepath.Dir(name)); err != nil {
		return "", fmt.Errorf("-o %s: %w", name, err)
	}
	return name, nil
}

// compile downloads the published plugins and compiles the program.
func (b *Builder) compile(ctx context.Context, g *toolchain, p *program, binary string, verbose bool) error {
	if verbose {
		g.live = b.Stderr
	}
	g.showFolders(append(p.modules, p.umbra))
	// Flags of the command line take precedence over those in GOFLAGS, which are meant
	// for the user's own modules.
	const modFile = "-modfile=go.mod"
	get := []string{"get", modFile, "--"}
	local := len(get)
	for _, plugin := range p.plugins {
		if !plugin.local() {
			get = append(get, plugin.path+"@"+plugin.version)
		}
	}
	if len(get) > local {
		b.logf("downloading published plugins")
		if _, err := g.run(ctx, get...); err != nil {
			return err
		}
	}
	b.logf("compiling for %s/%s; the first time takes a while", g.os, g.arch)
	args := []string{"build", "-mod=mod", modFile, "-trimpath", "-ldflags=-s -w", "-o", binary}
	if verbose {
		args = append(args, "-v")
	}
	_, err := g.run(ctx, append(args, ".")...)
	return err
}

// foreign reports whether the programs that g builds can't run on this system.
func (g *toolchain) foreign() bool { return g.os != runtime.GOOS || g.arch != runtime.GOARCH }
