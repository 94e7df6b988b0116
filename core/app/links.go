package app

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert"
	"github.com/umbra-proxy/umbra/core/link"
)

// defaultListen is where the local side of links listens.
const defaultListen = "127.0.0.1:1080"

// linkName stands for links in positions: what they say has been written as a file.
const linkName = "link"

// links are what run serves in place of a file: the local side of the servers that links
// name.
func (a *app) links(texts []string, listen string) served {
	return a.made(linkName, func() (string, error) { return a.textOfLinks(texts, listen) })
}

// textOfLinks writes the file of a local side. Several servers stand in for one another, the
// first that is well is used.
func (a *app) textOfLinks(texts []string, listen string) (string, error) {
	var d convert.Document
	var members []string
	var errs []error
	mode := "both"
	for _, text := range texts {
		l, err := link.Parse(text)
		if err == nil {
			var name string
			if name, err = d.Server(a.reg, l.Server); err == nil {
				members = append(members, name)
			}
			if l.Plugin != "" {
				mode = "tcp" // plugins carry no UDP
			}
		}
		if err != nil {
			where := linkName
			if len(texts) > 1 {
				where = fmt.Sprintf("%s %d", linkName, len(members)+len(errs)+1)
			}
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	out := d.Group("failover", "servers", members)
	in := d.Table("inbound.local")
	in.Set("kind", "mixed")
	in.Set("listen", listen)
	if mode != "both" {
		in.Set("mode", mode)
	}
	d.Table("pipeline.local").Set("chain", []string{"inbound.local", "outbound." + out})
	return d.String(), nil
}

// listenOf returns where the local side of links listens.
func listenOf(f *config.File) string {
	for _, c := range f.Components {
		for _, l := range c.Description.Listeners {
			return l.Addr.String()
		}
	}
	return ""
}

// howTo says how programs use the local side.
func howTo(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return fmt.Sprintf("SOCKS5 or HTTP proxy %s, port %s", host, port)
}

// areLinks reports whether arguments are links, and returns an error for links beside files.
func areLinks(args []string) (bool, error) {
	n := 0
	for _, arg := range args {
		if link.Is(arg) {
			n++
		}
	}
	if n > 0 && n < len(args) {
		return false, errors.New("want one FILE, or links that begin with ss://")
	}
	return n > 0, nil
}

// linkText is what a link says, for people.
func linkText(l link.Link) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-9s %s\n", key, value)
		}
	}
	line("name", l.Name)
	line("server", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)))
	line("method", l.Method)
	line("password", l.Password)
	line("plugin", l.Plugin)
	line("options", l.PluginOptions)
	line("ignored", strings.Join(l.Unknown, ", "))
	if l.Legacy {
		line("form", "the older one, all in base64")
	}
	return b.String()
}
