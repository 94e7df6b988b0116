package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Module is where the version of a build is found in what the toolchain wrote
// into the program.
const Module = "github.com/umbra-proxy/umbra"

// Plugin is a package with kinds of its own.
type Plugin struct {
	path    string // its import path
	version string // of its module, or what the go command finds one by; "" for a folder
	folder  string // where it is, as given; "" for a published one
}

// local reports whether the plugin is in a folder.
func (p Plugin) local() bool { return p.folder != "" }

// String says what is built in.
func (p Plugin) String() string {
	if p.local() {
		return p.path + " from " + p.folder
	}
	return p.path + "@" + p.version
}

// importPath is what an import path of a package looks like.
var importPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.~+-]*(/[A-Za-z0-9_.~+-]+)*$`)

// parsePlugin reads PACKAGE[@VERSION|=FOLDER].
func parsePlugin(text string) (Plugin, error) {
	if strings.HasPrefix(text, ".") || strings.Contains(strings.SplitN(text, "=", 2)[0], `\`) || filepath.IsAbs(text) {
		return Plugin{}, fmt.Errorf("%s is a folder; write the import path of its package before it: PACKAGE=%[1]s", text)
	}
	name, folder, local := strings.Cut(text, "=")
	name, version, versioned := strings.Cut(name, "@")
	p := Plugin{path: name, version: version, folder: folder}
	switch {
	case !importPath.MatchString(name) || path.Clean(name) != name:
		return Plugin{}, fmt.Errorf("%q: %q is not an import path of a package", text, name)
	case local && versioned:
		return Plugin{}, fmt.Errorf("%s: give a version or a folder, not both", text)
	case local && folder == "":
		return Plugin{}, fmt.Errorf("%s: no folder after the equals sign", text)
	case versioned && version == "":
		return Plugin{}, fmt.Errorf("%s: no version after the @", text)
	case !local && !versioned:
		p.version = "latest"
	}
	return p, nil
}

// goModule is a module in a folder.
type goModule struct {
	path string
	root string // absolute
}

// locate finds the module of a plugin in a folder, and checks that the package
// there has the import path that was asked for.
func (p Plugin) locate(ctx context.Context, g *toolchain) (goModule, error) {
	folder, err := filepath.Abs(p.folder)
	if err != nil {
		return goModule{}, err
	}
	if err := isFolder(folder); err != nil {
		return goModule{}, fmt.Errorf("--with %s: %w", p.path, err)
	}
	root, err := rootAbove(folder)
	if err != nil {
		return goModule{}, fmt.Errorf("--with %s: %w; make one: go mod init %[1]s", p.path, err)
	}
	m, err := g.module(ctx, root)
	if err != nil {
		return goModule{}, fmt.Errorf("--with %s: %w", p.path, err)
	}
	within, err := filepath.Rel(root, folder)
	if err != nil {
		return goModule{}, err
	}
	if is := path.Join(m.path, filepath.ToSlash(within)); is != p.path {
		return goModule{}, fmt.Errorf("--with %s: by its go.mod the package in %s is %s; write --with %[3]s=%[2]s", p.path, p.folder, is)
	}
	return m, nil
}

func isFolder(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is not a folder %s", name)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", name)
	}
	return nil
}

// rootAbove returns the nearest folder with a go.mod, from folder upwards.
func rootAbove(folder string) (string, error) {
	for at := folder; ; {
		if info, err := os.Stat(filepath.Join(at, "go.mod")); err == nil && !info.IsDir() {
			return at, nil
		}
		above := filepath.Dir(at)
		if above == at {
			return "", fmt.Errorf("there is no go.mod in %s, nor above it", folder)
		}
		at = above
	}
}

// sourceModule checks that a folder is the root of umbra's own module.
func sourceModule(ctx context.Context, g *toolchain, folder string) (goModule, error) {
	root, err := filepath.Abs(folder)
	if err != nil {
		return goModule{}, err
	}
	if err := isFolder(root); err != nil {
		return goModule{}, fmt.Errorf("--source: %w", err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return goModule{}, fmt.Errorf("--source %s: there is no go.mod; it wants the folder of a checkout of umbra", folder)
	}
	m, err := g.module(ctx, root)
	if err != nil {
		return goModule{}, fmt.Errorf("--source %s: %w", folder, err)
	}
	if m.path != Module {
		return goModule{}, fmt.Errorf("--source %s: by its go.mod it is %s, not %s", folder, m.path, Module)
	}
	return m, nil
}

// ParsePlugins reads all that --with gives.
func ParsePlugins(texts []string) ([]Plugin, error) {
	if len(texts) == 0 {
		return nil, errors.New("want a --with PACKAGE")
	}
	var all []Plugin
	seen := map[string]bool{}
	for _, text := range texts {
		p, err := parsePlugin(text)
		if err != nil {
			return nil, fmt.Errorf("--with %w", err)
		}
		if seen[p.path] {
			return nil, fmt.Errorf("--with %s is given twice", p.path)
		}
		seen[p.path] = true
		all = append(all, p)
	}
	return all, nil
}
