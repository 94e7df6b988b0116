package config

import (
	"reflect"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// pipeline reads one [pipeline.name] table. Its chain is checked later, when
// all components are known.
func (c *checker) pipeline(name string, values map[string]any, n *node, path string) {
	var t PipelineTable
	c.table(values, reflect.ValueOf(&t).Elem(), n, path)
	p := &Pipeline{Name: name, PipelineOptions: t.PipelineOptions, at: n, stages: t.Chain}
	for _, stage := range t.Chain {
		section, name, _ := strings.Cut(stage, ".")
		p.Chain = append(p.Chain, ID{core.Section(section), name})
	}
	c.file.Pipelines = append(c.file.Pipelines, p)
	if t.Chain != nil && len(t.Chain) == 0 {
		c.add(n.child("chain").value, join(path, "chain"), "empty; it needs an inbound and an outbound at least")
	}
}

// checkPipelines checks all chains.
func (c *checker) checkPipelines() {
	if len(c.file.Pipelines) == 0 && !c.anyGhost(sectionPipeline) && !c.file.Manager.IsSet() {
		c.add(0, "", "no pipeline; write [pipeline.<name>] with a chain")
	}
	var stages []string // what a chain may name
	for _, component := range c.order {
		if isStage(component.ID.Section) {
			stages = append(stages, component.ID.String())
		}
	}
	owner := map[ID]*Pipeline{}
	for _, p := range c.file.Pipelines {
		k := &chainCheck{checker: c, p: p, at: p.at.child("chain"), path: join(join(sectionPipeline, p.Name), "chain")}
		k.checkStages(stages)
		k.checkOrder()
		k.checkOwner(owner)
	}
}

// checkOwner checks that no earlier pipeline has the chain's inbound.
func (k *chainCheck) checkOwner(owner map[ID]*Pipeline) {
	i := k.p.inbound()
	if i == len(k.p.Chain) || k.file.Components[k.p.Chain[i]] == nil {
		return
	}
	id := k.p.Chain[i]
	if first := owner[id]; first != nil {
		line := k.src.line(first.at.key, k.at.item(i).value)
		k.say(i, "%s serves pipeline.%s already (%s); give this pipeline an inbound of its own", id, first.Name, line)
		return
	}
	owner[id] = k.p
}

func (c *checker) anyGhost(s core.Section) bool {
	for id := range c.ghost {
		if id.Section == s {
			return true
		}
	}
	return false
}

// isStage reports whether components of a section stand in chains.
func isStage(s core.Section) bool { return s.Place() != core.NoPlace }

// chainCheck checks one chain.
type chainCheck struct {
	*checker
	p      *Pipeline
	at     *node
	path   string
	broken bool // a stage is not even of a section, so nothing is surely missing
}

// say records a mistake of stage i.
func (k *chainCheck) say(i int, format string, args ...any) {
	k.add(k.at.item(i).value, k.path, format, args...)
}

// checkStages checks that each stage names a component that may stand in a chain.
func (k *chainCheck) checkStages(known []string) {
	for i, id := range k.p.Chain {
		switch {
		case k.p.stages[i] == "" && !k.isString(i): // of a wrong type, which is known by now
			k.broken = true
		case id.Section == "" || id.Name == "":
			k.broken = true
			k.say(i, "%s is not a section.name%s", show(k.p.stages[i]), k.sameName(k.p.stages[i]))
		case k.reg.Section(id.Section) != nil && !isStage(id.Section):
			k.say(i, "%s is not a stage; name it as `%s` of an inbound or outbound", id, id.Section)
		case k.file.Components[id] != nil && isStage(id.Section) || k.ghost[id]:
		default:
			k.broken = k.broken || !isStage(id.Section)
			k.say(i, "no [%s] in %s%s", id, k.src.these(), k.didYouMean(k.p.stages[i], known))
		}
	}
}

// isString reports whether stage i is a string in the file.
func (k *chainCheck) isString(i int) bool {
	return k.src.isString(k.at.item(i).value)
}

// sameName suggests the stage that has the given name without its section.
func (k *chainCheck) sameName(name string) string {
	for _, component := range k.order {
		if id := component.ID; id.Name == name && isStage(id.Section) {
			return "; did you mean " + id.String() + "?"
		}
	}
	return "; write it as inbound.socks5"
}

// checkOrder checks the order of the stages.
func (k *chainCheck) checkOrder() {
	p := k.p
	in := p.inbound()
	out := in + 1
	if in == len(p.Chain) {
		out = 0
	}
	for out < len(p.Chain) && p.Chain[out].Section.Place() != core.PlaceOutbounds {
		out++
	}
	seen := map[ID]bool{}
	for i, id := range p.Chain {
		if !isStage(id.Section) || id.Name == "" {
			continue
		}
		before, after := in < len(p.Chain) && i < in, i > out
		switch place := id.Section.Place(); {
		case seen[id]:
			k.say(i, "%s stands twice in this chain", id)
		case place == core.PlaceInbound && i != in:
			k.say(i, "%s is a second inbound beside %s; give it a pipeline of its own", id, p.Chain[in])
		case place == core.PlaceMiddle && before:
			k.say(i, "%s stands before %s: it needs the target that the inbound reads; move it after %[2]s", id, p.Chain[in])
		case place == core.PlaceOutbounds && before:
			k.say(i, "%s stands before %s: it dials the target that the inbound reads; move it to the end", id, p.Chain[in])
		case (place == core.PlaceMiddle || place == core.PlaceBeforeLast) && after:
			k.say(i, "%s stands after %s: it acts before anything is dialled; move it before %[2]s", id, p.Chain[out])
		}
		seen[id] = true
	}
	if k.broken || len(p.Chain) == 0 {
		return
	}
	if in == len(p.Chain) {
		k.say(-1, "no inbound; a chain has one, and only policies and observers before it")
	}
	if p.outbound() == len(p.Chain) {
		k.say(-1, "no outbound; a chain ends with one or more")
	}
}
