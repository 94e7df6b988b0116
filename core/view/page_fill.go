package view

import (
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/net/html"

	"github.com/umbra-proxy/umbra/core/plan"
)

// fill puts what is known into the page.
func (d pageData) fill(doc document) {
	for n := range doc.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "title" {
			n.FirstChild.Data = "umbra · " + d.Status.File
		}
	}
	words, err := json.Marshal(d.Words) // which escapes what would end the element
	if err == nil {
		doc.put("words", text(string(words)))
	}
	doc.put("file", text(d.Status.File))
	doc.put("live", text("as of "+timeText(d.Snapshot.Time)))
	if !d.Snapshot.Ready {
		reason := "Not ready."
		if d.Snapshot.Reason != "" {
			reason = "Not ready: " + d.Snapshot.Reason + "."
		}
		doc.put("not-ready", element("p", "notice", text(reason)))
	}
	for _, p := range d.Plan.Pipelines {
		doc.put("pipelines", d.pipeline(p))
	}
	d.connections(doc)
	changes := "read only"
	if d.Status.Write {
		changes = "changes are allowed"
	}
	doc.put("footer", text(fmt.Sprintf("umbra %s · process %d · started %s · %s", d.Status.Version, d.Status.PID, timeText(d.Status.Started), changes)))
}

// pipeline returns a pipeline as a list of its stages and a table of its figures.
func (d pageData) pipeline(p *plan.Pipeline) *html.Node {
	var now PipelineState
	for _, s := range d.Snapshot.Pipelines {
		if s.Name == p.Name {
			now = s
		}
	}
	return with(element("article", "pipeline",
		element("header", "", element("h2", "", text(p.Name)), element("p", "sentence", text(d.Words.Pipelines[p.Name]))),
		element("div", "drawing static", element("ol", "chain", d.stages(p.Stages)...)),
		element("div", "figures static", element("table", "",
			element("caption", "", text("What "+p.Name+" does")),
			heads("Streams", "UDP associations", "Accepted", "Up", "Down"),
			element("tbody", "", row(fmt.Sprint(now.Streams), fmt.Sprint(now.UDP), fmt.Sprint(now.Accepted), sizeText(now.Up), sizeText(now.Down))))),
	), "data-pipeline", p.Name)
}

// stages returns stages as the elements of a list.
func (d pageData) stages(all []plan.Stage) []*html.Node {
	var list []*html.Node
	for _, s := range all {
		words, state := d.Words.Components[s.Component], d.Snapshot.Components[s.Component]
		line := " " + words.What
		if words.Where != "" {
			line += " " + words.Where
		}
		if words.How != "" {
			line += ", " + words.How
		}
		li := element("li", "", element("strong", "", text(s.Component)), text(line))
		if state.State != "" {
			add(li, text(" "), element("span", "state "+string(state.State), text(string(state.State))))
		}
		if state.LastError != "" {
			add(li, text(" "), element("span", "error", text(state.LastError)))
		}
		if len(s.Branches) > 0 {
			ul := element("ul", "")
			for _, b := range s.Branches {
				add(ul, element("li", "", text(b.Label), element("ol", "", d.stages(b.Stages)...)))
			}
			add(li, ul)
		}
		list = append(list, li)
	}
	return list
}

// connections fills the table of live connections.
func (d pageData) connections(doc document) {
	all := d.Connections
	doc.put("live-caption", text(fmt.Sprintf("%d of %d live connections", len(all.List), all.Total)))
	for _, c := range all.List {
		doc.put("live-rows", row(c.Pipeline, c.Network, c.Client, c.User, c.Target, strings.Join(c.Path, " → "),
			sizeText(c.Up), sizeText(c.Down), tookText(c.Since, d.Snapshot.Time)))
	}
	if len(all.List) == 0 {
		none := row("none")
		with(none.FirstChild, "colspan", "9")
		doc.put("live-rows", none)
	}
}
