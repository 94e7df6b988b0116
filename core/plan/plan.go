// Package plan turns a checked file into plain data: which stages a connection
// passes, with their options, where each listens, what it dials, and who finds which
// name. Nothing is built for it, so files that options name need not exist.
//
// What is said of a component beside its options comes from the component: see
// core.Describer. `umbra explain` draws a Plan or prints it as JSON, and `umbra
// resolve` asks whom it names. The form of the JSON is docs/plan.md.
package plan

import (
	"encoding/json"
	"io"
	"reflect"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// Plan is what a file says. Secrets are written as [redacted].
type Plan struct {
	Pipelines  []*Pipeline           `json:"pipelines"`  // in file order
	Components map[string]*Component `json:"components"` // all of the file, by ID
}

// Pipeline is one pipeline.
type Pipeline struct {
	Name    string   `json:"name"`
	File    string   `json:"file,omitempty"` // that it stands in, if it is not the main one
	Options []Option `json:"options"`
	Stages  []Stage  `json:"stages"` // in the order in which a connection passes them
	Names   []Name   `json:"names"`  // who finds the addresses of the names that come up
}

// Stage is a component at one place of a chain.
type Stage struct {
	Component string   `json:"component"`          // its ID
	Role      Role     `json:"role"`               // by its place
	Through   string   `json:"through,omitempty"`  // the ID of the hop before it
	Branches  []Branch `json:"branches,omitempty"` // one is taken for each request
}

// A Role is what a stage does, by its place in the chain.
type Role string

// The roles.
const (
	Gate       Role = "gate"       // is asked about a client before anything is read
	Inbound    Role = "inbound"    // reads requests
	Middleware Role = "middleware" // sees a request before anything is dialled
	Hop        Role = "hop"        // reaches the target or the next hop
	Observer   Role = "observer"   // is notified of connections, on either side of the inbound
)

// Branch is one of the chains among which a stage chooses.
type Branch struct {
	Label  string  `json:"label"`
	Rule   string  `json:"rule,omitempty"` // the ID of the rule that leads to it
	Stages []Stage `json:"stages"`
}

// Component is one table of the file and what it says of itself. What a kind does
// not say is left out.
type Component struct {
	ID         string      `json:"id"`
	Section    string      `json:"section"`
	Name       string      `json:"name"`
	Kind       string      `json:"kind"`
	Title      string      `json:"title"`          // the ID, and the kind if it is not the name
	File       string      `json:"file,omitempty"` // that it stands in, if it is not the main one
	Help       string      `json:"help"`           // the help line of the kind
	Options    []Option    `json:"options"`
	Networks   []string    `json:"networks"` // "tcp", "udp"; none if that is not known
	Listeners  []Listener  `json:"listeners,omitempty"`
	Servers    []Server    `json:"servers,omitempty"`
	References []Reference `json:"references,omitempty"`
	Secrets    []string    `json:"secrets,omitempty"` // the keys of options that hold one
}

// Option is one option that is not empty.
type Option struct {
	Key        string   `json:"key"`
	Value      string   `json:"value"`                // as text
	References []string `json:"references,omitempty"` // the IDs of the components that it names, if it is a reference or a list of them

	Like string     `json:"like,omitempty"` // the ID of the component whose key it is, if it is one of another by like
	File string     `json:"file,omitempty"` // that it stands in, if it is not that of its table
	Env  []Variable `json:"env,omitempty"`  // the variables of the environment that it is from
}

// Variable is a variable of the environment.
type Variable struct {
	Name    string `json:"name"`
	Default bool   `json:"default,omitempty"` // it is not set: the value is a default of the file
}

// Listener is an address that is listened on.
type Listener struct {
	Key      string   `json:"key"`     // of the option
	Address  string   `json:"address"` // as in a file: ":1080" is every address
	Networks []string `json:"networks"`
}

// Server is a server that a component dials.
type Server struct {
	Key     string   `json:"key"`     // of the option
	Role    string   `json:"role"`    // see core.ServerRole
	Address string   `json:"address"` // host and port, or what says more: "tls://dns.example"
	Fixed   []string `json:"fixed,omitempty"`
}

// Reference is a component that another one names.
type Reference struct {
	Key       string `json:"key"` // of the option; "" if the kind does not say
	Component string `json:"component"`
	Use       Use    `json:"use,omitempty"`
}

// A Use says what a component is named for.
type Use string

// The uses.
const (
	UseWire    Use = "wire"    // its connections go through it
	UseTargets Use = "targets" // finds the addresses of targets
	UseServer  Use = "server"  // finds the addresses of the component's server
	UseAsks    Use = "asks"    // is asked for names
	UseVia     Use = "via"     // name servers are asked through it
	UseBranch  Use = "branch"  // is a stage of a branch
	UseRule    Use = "rule"    // is asked which branch a request takes
	UseFor     Use = "for"     // its requests are told from others
)

// Of returns the plan of a file.
func Of(f *config.File) *Plan {
	b := &builder{file: f, components: map[string]*config.Component{}}
	p := &Plan{Components: map[string]*Component{}}
	for id, c := range f.Components {
		b.components[id.String()] = c
	}
	for id, c := range b.components {
		p.Components[id] = b.component(c)
	}
	for _, from := range f.Pipelines {
		to := &Pipeline{Name: from.Name, File: b.fileOf(from), Options: b.options(from, reflect.ValueOf(from.PipelineOptions)), Stages: b.pipeline(from)}
		to.Names = b.names(to.Stages)
		p.Pipelines = append(p.Pipelines, to)
	}
	return p
}

// builder makes the plan of a file.
type builder struct {
	file       *config.File
	components map[string]*config.Component
}

// find returns the component that a reference names, or nil if it names none.
func (b *builder) find(ref core.Reference) *config.Component {
	if ref == nil || ref.RefName() == "" {
		return nil
	}
	return b.components[config.ID{Section: ref.RefSection(), Name: ref.RefName()}.String()]
}

// WriteJSON writes p as JSON, indented.
func (p *Plan) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(p)
}
