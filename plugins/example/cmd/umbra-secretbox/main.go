// Command umbra-secretbox is umbra with one more method. It is what
// "umbra build --with example.net/secretbox" makes.
package main

import (
	"example.net/secretbox"

	"github.com/umbra-proxy/umbra/core/app"
	"github.com/umbra-proxy/umbra/plugins"
)

func main() { app.Main(plugins.Standard, secretbox.Register) }
