package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
)

// untilSignal returns a context that ends with the first signal that ends a
// program. stop is called when the context is no longer needed.
func (a *app) untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals, give := a.Signals()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel()
		<-watched
		give()
	}
}

// build makes a program with plugins, in a temporary folder, and puts it in its
// place once it has started.
func (a *app) build(ctx context.Context, f buildFlags, plugins []plugin) error {
	folder, err := os.MkdirTemp("", "umbra-build-")
	if err != nil {
		return err
	}
	defer func() {
		if f.keep {
			a.say("kept %s", folder)
		} else {
			_ = os.RemoveAll(folder) // in vain at the worst
		}
	}()
	g, err := findGo(ctx, folder)
	if err != nil {
		return a.explainGo(err, nil, "")
	}
	a.say("%s, at %s", g.version, g.path)
	p, err := a.plan(ctx, g, f, plugins)
	if err != nil {
		return a.explainGo(err, nil, "")
	}
	output, err := outputFile(f.output, g.exe)
	if err != nil {
		return err
	}
	if err := p.write(folder, g.version); err != nil {
		return err
	}
	binary := filepath.Join(folder, "umbra"+g.exe)
	if err := a.compile(ctx, g, p, binary, f.verbose); err != nil {
		return a.explainGo(err, plugins, p.version)
	}
	return a.deliver(ctx, binary, output, g)
}

// say tells how the build goes on.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.Stderr, format+"\n", args...) }

// plan finds out what is to be built from what.
func (a *app) plan(ctx context.Context, g *toolchain, f buildFlags, plugins []plugin) (*program, error) {
	p := &program{plugins: plugins}
	if f.source != "" {
		m, err := sourceModule(ctx, g, f.source)
		if err != nil {
			return nil, err
		}
		p.umbra = m
		a.say("umbra from %s", f.source)
	} else {
		info, ok := debug.ReadBuildInfo()
		if ok {
			p.version = published(info)
		}
		if p.version == "" {
			return nil, errors.New("this program was built from a checkout, so it has no version that the go command could get; give the folder of a checkout of umbra: --source DIR")
		}
		a.say("umbra %s", p.version)
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
		a.say("with %s", plugin)
	}
	return p, nil
}

// outputFile returns the file to write. A folder is none.
func outputFile(name, exe string) (string, error) {
	if name == "" {
		name = "umbra" + exe
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("-o %s is there already and is no file; choose another with -o", name)
	}
	if err := isFolder(filepath.Dir(name)); err != nil {
		return "", fmt.Errorf("-o %s: %w", name, err)
	}
	return name, nil
}

// compile gets the plugins that are published and compiles the program.
func (a *app) compile(ctx context.Context, g *toolchain, p *program, binary string, verbose bool) error {
	if verbose {
		g.live = a.Stderr
	}
	g.knows(append(p.modules, p.umbra))
	// Flags of the command line win over those in GOFLAGS, which are for the user's own
	// modules.
	const modFile = "-modfile=go.mod"
	get := []string{"get", modFile, "--"}
	local := len(get)
	for _, plugin := range p.plugins {
		if !plugin.local() {
			get = append(get, plugin.path+"@"+plugin.version)
		}
	}
	if len(get) > local {
		a.say("download what is published")
		if _, err := g.run(ctx, get...); err != nil {
			return err
		}
	}
	a.say("compile for %s/%s; the first time it takes a while", g.os, g.arch)
	args := []string{"build", "-mod=mod", modFile, "-trimpath", "-ldflags=-s -w", "-o", binary}
	if verbose {
		args = append(args, "-v")
	}
	_, err := g.run(ctx, append(args, ".")...)
	return err
}

// foreign reports whether what g builds can't run here.
func (g *toolchain) foreign() bool { return g.os != runtime.GOOS || g.arch != runtime.GOARCH }
