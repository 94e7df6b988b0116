package engine

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/plan"
)

// Explain draws each pipeline of p as a connection goes through it, a box for
// each stage. Secrets are written as [redacted].
func Explain(w io.Writer, p *plan.Plan) error {
	d := &drawing{plan: p}
	for i, pipeline := range p.Pipelines {
		if i > 0 {
			d.line("")
		}
		d.pipeline(pipeline)
	}
	_, err := io.WriteString(w, d.text.String())
	return err
}

// drawing is the text so far.
type drawing struct {
	plan   *plan.Plan
	text   strings.Builder
	margin string          // before each line, within branches
	shown  map[string]bool // components drawn in this pipeline with their options
	boxed  map[string]bool // those that have a box
	below  map[string]bool // those that will have one, in a branch
}

// line writes one line.
func (d *drawing) line(format string, args ...any) {
	d.text.WriteString(strings.TrimRight(d.margin+fmt.Sprintf(format, args...), " ") + "\n")
}

func (d *drawing) pipeline(p *plan.Pipeline) {
	d.shown, d.boxed, d.below = map[string]bool{}, map[string]bool{}, map[string]bool{}
	var options []string
	for _, o := range p.Options {
		options = append(options, o.Key+" "+valueOf(o))
	}
	d.line("pipeline.%s%s: %s", p.Name, inBrackets(p.File), strings.Join(options, ", "))
	d.line("")
	d.line("  clients")
	d.chain(p.Stages, d.listener(p), "target")
	d.line("")
	d.line("  who finds the addresses of names:")
	width := 0
	for _, n := range p.Names {
		width = max(width, utf8.RuneCountInString(heading(n)))
	}
	for _, n := range p.Names {
		d.line("    %s  %s", pad(heading(n), width), n.Text)
	}
}

// listener returns the addresses that the clients of a pipeline dial.
func (d *drawing) listener(p *plan.Pipeline) string {
	for _, s := range p.Stages {
		if c := d.plan.Components[s.Component]; s.Role == plan.Inbound && len(c.Listeners) > 0 {
			all := make([]string, len(c.Listeners))
			for i, l := range c.Listeners {
				all[i] = l.Address
			}
			return clip("to "+strings.Join(all, ", "), d.width()-8)
		}
	}
	return ""
}

// chain draws stages. label says what goes into the first of them, and end is what
// the last one reaches.
func (d *drawing) chain(stages []plan.Stage, label, end string) {
	for i, s := range stages {
		if i > 0 {
			label = d.label(stages[i-1], s)
		}
		d.arrow(label)
		if i < len(stages)-1 {
			d.stage(s, stages[i+1].Component)
		} else {
			d.stage(s, end)
		}
	}
	if n := len(stages); n > 0 && len(stages[n-1].Branches) == 0 {
		d.arrow("")
		d.line("  %s%s", end, d.server(stages[n-1], ", dialled by "))
	}
}

// branches draws the chains among which a stage chooses, further to the right. end
// is what each of them reaches.
func (d *drawing) branches(all []plan.Branch, end string) {
	for i, b := range all {
		if i < len(all)-1 {
			d.branch(b, "├", "│", end)
		} else {
			d.branch(b, "└", " ", end)
		}
	}
}

// branch draws one branch. corner stands before its label, and beside before all
// that follows.
func (d *drawing) branch(b plan.Branch, corner, beside, end string) {
	label := b.Label
	if b.Rule != "" {
		label += inBrackets(d.plan.Components[b.Rule].File)
	}
	d.line("     %s─ %s", corner, clip(label, d.width()-8))
	margin := d.margin
	d.margin += "     " + beside + " "
	d.condition(b.Rule)
	label = ""
	if len(b.Stages) > 0 {
		label = d.server(b.Stages[0], "to ")
	}
	d.chain(b.Stages, label, end)
	d.margin = margin
}

// label says what goes from one stage into the next.
func (d *drawing) label(from, s plan.Stage) string {
	to := d.server(s, ", to ")
	switch from.Role {
	case plan.Hop:
		return "through " + d.plan.Components[from.Component].Name + to
	case plan.Inbound:
		return "the client's request" + to
	}
	return strings.TrimPrefix(to, ", ")
}

// server returns the server that a hop goes through, after prefix, or "" if there is
// none.
func (d *drawing) server(s plan.Stage, prefix string) string {
	for _, server := range d.plan.Components[s.Component].Servers {
		if server.Role == string(core.RoleHop) {
			return prefix + server.Address
		}
	}
	return ""
}

// heading returns the name that an entry is about, as it is shown.
func heading(n plan.Name) string {
	text := map[plan.NameOf]string{
		plan.NameTargets: "targets", plan.NameFirst: "… first", plan.NameThen: "… then", plan.NameDomain: "… under " + n.Name,
	}[n.Of]
	if text == "" {
		text = n.Name
	}
	if len(n.Branch) > 0 {
		text += " (" + strings.Join(n.Branch, ", ") + ")"
	}
	return text
}

// arrow draws the way to the next stage.
func (d *drawing) arrow(label string) {
	d.line("     │ %s", label)
	d.line("     ▼")
}

// stage draws one component of a chain, and its branches, which reach end.
func (d *drawing) stage(s plan.Stage, end string) {
	c := d.plan.Components[s.Component]
	for _, branch := range s.Branches {
		for _, member := range branch.Stages {
			d.below[member.Component] = true
		}
	}
	if d.boxed[c.ID] { // in another branch
		d.box(c.Title+inBrackets(c.File), "as above", nil)
	} else {
		d.boxed[c.ID], d.shown[c.ID] = true, true
		d.box(c.Title+inBrackets(c.File), c.Help, d.rows(0, c.Options))
	}
	d.branches(s.Branches, end)
}

// row is one option of a drawing.
type row struct {
	depth int // 0 for the stage's own, one more for those of what it refers to
	key   string
	value string
}

// rows returns the rows of options. A reference is followed by the options of the
// component that it names, unless they stand further up.
func (d *drawing) rows(depth int, options []plan.Option) []row {
	var rows []row
	for _, o := range options {
		if len(o.References) == 0 {
			rows = append(rows, row{depth, o.Key, valueOf(o)})
		}
		first := len(rows)
		for _, id := range o.References {
			key := ""
			if len(rows) == first {
				key = o.Key
			}
			rows = append(rows, d.reference(depth, key, d.plan.Components[id])...)
		}
		if len(rows) > first && len(o.References) > 0 {
			rows[first].value += origin(o)
		}
	}
	return rows
}

// reference returns the rows of a component that an option names.
func (d *drawing) reference(depth int, key string, c *plan.Component) []row {
	text := c.Kind
	if c.Kind != c.Name {
		text = c.Name + ": " + c.Kind
	}
	text += inBrackets(c.File)
	switch {
	case c.Section == string(core.SectionRule): // its condition stands at its branch
		return []row{{depth, key, c.Name}}
	case d.shown[c.ID]:
		return []row{{depth, key, text + ", as above"}}
	case d.below[c.ID]:
		return []row{{depth, key, text + ", below"}}
	}
	d.shown[c.ID] = true
	if c.Help != "" {
		text += ", " + c.Help
	}
	return append([]row{{depth, key, text}}, d.rows(depth+1, c.Options)...)
}
