package core

import (
	"fmt"
	"strconv"
	"strings"
)

// Chain is an option that lists the stages that requests go through after a choice: any
// resolvers and policies, then one or more outbounds, as in a pipeline after its inbound. A
// file with another order is refused before a constructor has it.
type Chain []ChainStage

// Named returns a Named for each stage, whose own key is given, for a Branch.
func (c Chain) Named(key string) []Named { return NamedList(key, c) }

// StageKey returns the key of stage i of the chain under key, for an OptionError.
func (Chain) StageKey(key string, i int) string { return key + "." + strconv.Itoa(i) }

// ChainStage names a component that stands in a chain. It is a Reference.
type ChainStage struct {
	section Section
	name    string
}

var _ Reference = ChainStage{}

// UnmarshalText reads "section.name".
func (s *ChainStage) UnmarshalText(text []byte) error {
	section, name, ok := strings.Cut(string(text), ".")
	switch place := Section(section).Place(); {
	case !ok || section == "" || name == "":
		return fmt.Errorf("%q is not a section.name; write it as outbound.direct", text)
	case place == PlaceInbound:
		return fmt.Errorf("%s can't stand here: this chain begins after the inbound", text)
	case place == NoPlace:
		return fmt.Errorf("%s is not a stage of a chain; name a resolver, a policy or an outbound", text)
	}
	*s = ChainStage{Section(section), name}
	return nil
}

// String returns the form that UnmarshalText reads.
func (s ChainStage) String() string {
	if s.name == "" {
		return ""
	}
	return string(s.section) + "." + s.name
}

// RefSection returns the section of the component.
func (s ChainStage) RefSection() Section { return s.section }

// RefName returns the name of the component.
func (s ChainStage) RefName() string { return s.name }

// Type returns what such an option is called.
func (ChainStage) Type() string { return "stage" }

// Example returns a stage.
func (ChainStage) Example() string { return "outbound.direct" }
