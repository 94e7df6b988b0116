package engine

import (
	"strings"

	"github.com/umbra-proxy/umbra/core/plan"
)

// valueOf returns the value of an option and where it is from.
func valueOf(o plan.Option) string { return o.Value + origin(o) }

// origin says where the value of an option is from, in brackets after it, or "" if it stands
// in its table.
func origin(o plan.Option) string {
	var all []string
	switch {
	case o.Like != "" && o.File != "":
		all = append(all, "like "+o.Like+" in "+o.File)
	case o.Like != "":
		all = append(all, "like "+o.Like)
	}
	var set, unset []string
	for _, v := range o.Env {
		if v.Default {
			unset = append(unset, "$"+v.Name)
		} else {
			set = append(set, "$"+v.Name)
		}
	}
	if len(set) > 0 {
		all = append(all, "from "+strings.Join(set, ", "))
	}
	if len(unset) > 0 {
		all = append(all, "default of "+strings.Join(unset, ", "))
	}
	return inBrackets(strings.Join(all, ", "))
}

// inBrackets returns text in brackets after a space, or "" for "".
func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
