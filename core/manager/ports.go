package manager

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/convert"
)

// ports are the ports that are open, by number. They are not changed: with and without
// return others.
type ports map[int]*port

// with returns the ports with a further or another one.
func (ps ports) with(number int, p port) ports {
	next := maps.Clone(ps)
	next[number] = &p
	return next
}

// without returns the ports but one.
func (ps ports) without(number int) ports {
	next := maps.Clone(ps)
	delete(next, number)
	return next
}

// numbers returns the numbers in order.
func (ps ports) numbers() []int { return slices.Sorted(maps.Keys(ps)) }

// name is the name of the components of a port.
func name(number int) string { return "port-" + strconv.Itoa(number) }

// document returns the components and pipelines of all ports.
func (ps ports) document(reg *core.Registry, m config.Manager) (string, error) {
	var b strings.Builder
	for _, number := range ps.numbers() {
		p := ps[number]
		if p.text == "" || !sameForm(p.form, m) {
			var d convert.Document
			if err := p.add(&d, reg, m, number); err != nil {
				return "", fmt.Errorf("port %d: %w", number, err)
			}
			p.text, p.form = d.String(), m
		}
		b.WriteString(p.text + "\n")
	}
	return b.String(), nil
}

// sameForm reports whether two tables make the same of a port.
func sameForm(a, b config.Manager) bool {
	return a.Method == b.Method && a.Mode == b.Mode && slices.Equal(a.Host, b.Host) && slices.Equal(a.Gates, b.Gates) && slices.Equal(a.Chain, b.Chain)
}

// add adds a port to a document.
func (p *port) add(d *convert.Document, reg *core.Registry, m config.Manager, number int) error {
	method := p.Method
	if method == "" {
		method = m.Method
	}
	cipher, err := d.Cipher(reg, name(number), method, p.Password)
	if err != nil {
		return err
	}
	if len(p.Users) > 0 {
		users := map[string]any{}
		for _, u := range p.Users {
			users[u.Name] = u.Password
		}
		d.Table("cipher."+cipher).Set("users", users)
	}
	mode := p.Mode
	if mode == "" {
		mode = string(m.Mode)
	}
	plugin := d.PluginAs(name(number), p.Plugin, p.Options, p.Carries)
	if plugin != "" && p.Carries != "tcp_and_udp" {
		mode = "tcp"
	}
	inbound := d.Name("inbound", name(number))
	t := d.Table("inbound." + inbound)
	t.Set("kind", "ss")
	t.Set("listen", convert.Addresses(m.Host, number))
	t.Set("cipher", cipher)
	t.Set("mode", mode)
	if plugin != "" {
		t.Set("transport", []string{plugin})
	}
	chain := append(slices.Clone(m.Gates), "inbound."+inbound)
	d.Table("pipeline."+name(number)).Set("chain", append(chain, m.Chain...))
	return nil
}

// equal reports whether two ports are opened with the same.
func (p *port) equal(q port) bool {
	return p.Password == q.Password && p.Method == q.Method && p.Mode == q.Mode && p.Plugin == q.Plugin &&
		p.Options == q.Options && p.Carries == q.Carries && slices.Equal(p.Users, q.Users)
}
