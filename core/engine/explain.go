package engine

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/option"
)

// Explain draws each pipeline of f as a connection goes through it, a box for
// each stage. It builds nothing, so files that options name need not exist.
// Secrets are written as [redacted].
func Explain(w io.Writer, reg *core.Registry, f *config.File) error {
	d := &drawing{file: f, reg: reg}
	for i, p := range f.Pipelines {
		if i > 0 {
			d.line("")
		}
		d.pipeline(p)
	}
	_, err := io.WriteString(w, d.text.String())
	return err
}

// drawing is the text so far.
type drawing struct {
	file  *config.File
	reg   *core.Registry
	text  strings.Builder
	shown map[config.ID]bool // components drawn in this pipeline with their options
}

// line writes one line.
func (d *drawing) line(format string, args ...any) {
	d.text.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (d *drawing) pipeline(p *config.Pipeline) {
	d.shown = map[config.ID]bool{}
	var options []string
	for _, r := range d.rows(0, reflect.ValueOf(p.PipelineOptions)) {
		options = append(options, r.key+" "+r.value)
	}
	d.line("pipeline.%s: %s", p.Name, strings.Join(options, ", "))
	d.line("")
	d.line("  clients")
	d.arrow(labelOf[option.Listen](d.file.Components[p.Inbound()], "to "))
	for i, id := range p.Chain {
		if i > 0 {
			d.arrow(d.label(p, i))
		}
		d.stage(d.file.Components[id])
	}
	last := p.Chain[len(p.Chain)-1]
	d.arrow("")
	d.line("  target%s", labelOf[option.Server](d.file.Components[last], ", dialled by "))
	d.line("")
	d.line("  who finds the addresses of names:")
	names := d.names(p)
	width := 0
	for _, n := range names {
		width = max(width, utf8.RuneCountInString(n.name))
	}
	for _, n := range names {
		d.line("    %-*s  %s", width, n.name, n.finder)
	}
}

// label says what goes into stage i, which is not the first.
func (d *drawing) label(p *config.Pipeline, i int) string {
	to := labelOf[option.Server](d.file.Components[p.Chain[i]], ", to ")
	switch before := p.Chain[i-1]; before.Section {
	case core.SectionOutbound:
		return "through " + before.Name + to
	case core.SectionInbound:
		return "the client's request" + to
	}
	return strings.TrimPrefix(to, ", ")
}

// labelOf returns the first address of type T in a component's options, after
// prefix, or "" if there is none.
func labelOf[T fmt.Stringer](c *config.Component, prefix string) string {
	if addr, _ := optionOf[T](c); addr.String() != "" {
		return prefix + addr.String()
	}
	return ""
}

// arrow draws the way to the next stage.
func (d *drawing) arrow(label string) {
	d.line("     │ %s", label)
	d.line("     ▼")
}

// stage draws one component of a chain.
func (d *drawing) stage(c *config.Component) {
	d.shown[c.ID] = true
	title := c.ID.String()
	if c.Kind != c.ID.Name {
		title += ", kind " + c.Kind
	}
	options := reflect.ValueOf(c.Options).Elem()
	d.box(title, About(options.Type()), d.rows(0, options))
}
