package engine

import (
	"slices"

	"github.com/umbra-proxy/umbra/core/plan"
)

// condition draws what a rule compares requests with, below its name.
func (d *drawing) condition(rule string) {
	if rule == "" {
		return
	}
	options := slices.DeleteFunc(slices.Clone(d.plan.Components[rule].Options), func(o plan.Option) bool { return o.Key == "chain" })
	column := 0
	for _, o := range options {
		column = max(column, len(o.Key))
	}
	for _, o := range options {
		key := o.Key
		for _, text := range wrap(valueOf(o), max(16, d.width()-8-column)) {
			d.line("  %s  %s", pad(key, column), text)
			key = ""
		}
	}
}
