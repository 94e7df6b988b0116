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

// Module is the module path of umbra, by which its version is found in the build info
// of a program.
const Module = "github.com/umbra-proxy/umbra"

// Plugin is a package that registers kinds.
type Plugin struct {
	path    string // its import path
	version string // of its module, or a query for the go command; "" for a folder
	folder  string // as given; "" for a published package
}

// local reports whether the plugin is in a folder.
func (p Plugin) local() bool { return p.folder != "" }

// String describes the plugin and its origin.
func (p Plugin) String() string {
	if p.local() {
		return p.path + " from " + p.folder
	}
	return p.path + "@" + p.version
}

// importPath matches import paths of packages.
var importPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.~+-]*(/[A-Za-z0-9_.~+-]+)*$`)

// parsePlugin parses PACKAGE[@VERSION|=FOLDER].
func parsePlugin(text string) (Plugin, error) {
	if strings.HasPrefix(text, ".") || strings.Contains(strings.SplitN(text, "=", 2)[0], `\`) || filepath.IsAbs(text) {
		return Plugin{}, fmt.Errorf("%s is a folder; write the import path of its package before it: PACKAGE=%[1]s", text)
	}
	name, folder, local := strings.Cut(text, "=")
	name, version, versioned := strings.Cut(name, "@")
	p := Plugin{path: name, version: version, folder: folder}
	switch {
	case !importPath.MatchString(name) || path.Clean(name) != name:
		return Plugin{}, fmt.Errorf("%q: invalid import path %q", text, name)
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

// locate finds the module of a plugin in a folder, and checks that the package in the
// folder has the plugin's import path.
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
		return goModule{}, fmt.Errorf("--with %s: %w; create it with: go mod init %[1]s", p.path, err)
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
		return goModule{}, fmt.Errorf("--with %s: the package in %s is %s according to its go.mod; write --with %[3]s=%[2]s", p.path, p.folder, is)
	}
	return m, nil
}

func isFolder(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("no such folder: %s", name)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", name)
	}
	return nil
}

// rootAbove returns the nearest folder with a go.mod, starting at folder.
func rootAbove(folder string) (string, error) {
	for at := folder; ; {
		if info, err := os.Stat(filepath.Join(at, "go.mod")); err == nil && !info.IsDir() {
			return at, nil
		}
		above := filepath.Dir(at)
		if above == at {
			return "", fmt.Errorf("no go.mod in %s or above it", folder)
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
		return goModule{}, fmt.Errorf("--source %s: no go.mod in it; want the folder of a checkout of umbra", folder)
	}
	m, err := g.module(ctx, root)
	if err != nil {
		return goModule{}, fmt.Errorf("--source %s: %w", folder, err)
	}
	if m.path != Module {
		return goModule{}, fmt.Errorf("--source %s: its go.mod is that of %s, not of %s", folder, m.path, Module)
	}
	return m, nil
}

// ParsePlugins parses all values of --with.
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
