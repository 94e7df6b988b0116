package app

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/umbra-proxy/umbra/core/build"
)

// version is set by the linker in a release:
//
//	-ldflags "-X github.com/umbra-proxy/umbra/core/app.version=v1.2.3"
var version string

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "version",
		Short:                 "tell the version",
		Example:               `  umbra version`,
		Args:                  none,
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
		RunE:                  func(*cobra.Command, []string) error { return a.version() },
	}
}

func (a *app) version() error {
	_, err := fmt.Fprintf(a.Stdout, "umbra %s, %s, %s/%s\n", versionOf(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return fail(err)
}

// versionOf returns the version of umbra, which in a program with kinds of its
// own is that of a dependency.
func versionOf() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	found := info.Main.Version
	for _, dep := range info.Deps {
		if dep.Path != build.Module {
			continue
		}
		found = dep.Version
		if dep.Replace != nil { // by a checkout, or by a fork
			found = dep.Replace.Version
		}
	}
	if found == "" {
		return "(devel)"
	}
	return found
}
