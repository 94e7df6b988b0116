// Umbra runs proxy pipelines from a TOML file; see umbra help.
package main

import (
	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/plugins"
)

func main() { app.Main(plugins.Standard) }
