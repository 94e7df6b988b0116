package view

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core/plan"
)

// Words are what the page says of a file, for people who have not written it.
type Words struct {
	Pipelines  map[string]string         `json:"pipelines"`  // a sentence, by the pipeline's name
	Components map[string]ComponentWords `json:"components"` // by ID
}

// ComponentWords say what a component is.
type ComponentWords struct {
	What  string `json:"what"`            // such as "Shadowsocks server"
	Where string `json:"where,omitempty"` // the addresses that it listens on or dials
	How   string `json:"how,omitempty"`   // how its wire is protected
	Ends  bool   `json:"ends,omitempty"`  // nothing goes on from it
}

// kindWords are the words for kinds of which the name alone says little, by section and
// kind. A kind that is not here is called by its name.
var kindWords = map[string]string{
	"inbound.socks5": "SOCKS5", "inbound.ss": "Shadowsocks", "inbound.relay": "Shadowsocks relay",
	"outbound.ss": "Shadowsocks server", "outbound.socks5": "SOCKS5 proxy", "outbound.http": "HTTP proxy",
	"outbound.ssh": "SSH server", "outbound.direct": "straight to targets", "outbound.block": "refuses",
	"outbound.route": "chooses by rule", "outbound.failover": "first that is well", "outbound.balance": "shares among",
	"outbound.fastest": "fastest of", "outbound.select": "chosen by hand", "outbound.chain": "piece of a chain",
	"policy.acl": "allows and denies", "policy.ban": "bans attackers", "policy.limit": "limits use", "policy.replay": "refuses replays",
	"resolver.dns": "DNS", "resolver.hosts": "hosts file", "resolver.system": "system's names", "resolver.first": "first answer of",
	"transport.tls": "TLS", "transport.websocket": "WebSocket",
}

// chooserWords say in a sentence how a group chooses; %s is the list of its members.
var chooserWords = map[string]string{
	"failover": "the first of %s that is well", "balance": "shared among %s",
	"fastest": "the fastest of %s", "select": "the one of %s that was chosen",
}

// notEncrypted stands where a method would, for the one that does nothing.
const notEncrypted = "not encrypted"

// straight is how an outbound goes that goes through no other server.
const straight = "straight to the targets"

// WordsOf returns the words for a file.
func WordsOf(p *Plan) Words {
	w := Words{map[string]string{}, map[string]ComponentWords{}}
	for id, c := range p.Components {
		w.Components[id] = ComponentWords{
			What: what(c), Where: strings.Join(where(c), ", "), How: how(p, c),
			Ends: c.Section == "outbound" && c.Kind == "block",
		}
	}
	for _, pipeline := range p.Pipelines {
		w.Pipelines[pipeline.Name] = w.sentence(p, pipeline.Stages)
	}
	return w
}

// what returns what a component is.
func what(c *plan.Component) string {
	return cmp.Or(kindWords[c.Section+"."+c.Kind], c.Kind)
}

// where returns the addresses that a component listens on, or the servers that it sends
// requests through.
func where(c *plan.Component) []string {
	var all []string
	for _, l := range c.Listeners {
		all = append(all, listenText(l.Address))
	}
	for _, s := range c.Servers {
		if s.Role == "hop" || s.Role == "name_server" || s.Role == "target" {
			all = append(all, s.Address)
		}
	}
	return slices.Compact(all)
}

// listenText returns the address of a listener for people.
func listenText(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
		return "port " + port
	}
	return address
}

// how returns how the wire of a component is protected.
func how(p *Plan, c *plan.Component) string {
	var cipher string
	var transports []string
	for _, r := range c.References {
		to := p.Components[r.Component]
		switch {
		case to == nil || r.Use != plan.UseWire:
		case to.Section == "cipher":
			cipher = to.Kind
			if cipher == "none" {
				cipher = notEncrypted
			}
		case to.Section == "transport":
			transports = append(transports, what(to))
		}
	}
	switch in := strings.Join(transports, " and "); {
	case in == "":
		return cipher
	case cipher == "":
		return "in " + in
	default:
		return cipher + " in " + in
	}
}

// sentence returns what a pipeline does, in one line.
func (w Words) sentence(p *Plan, stages []plan.Stage) string {
	var parts []string
	for _, s := range stages {
		switch c := p.Components[s.Component]; {
		case c == nil:
		case s.Role == plan.Inbound:
			words := w.Components[s.Component]
			parts = append(parts, join(words.What, onText(words.Where), protected(words.How)))
		case s.Role == plan.Hop:
			parts = append(parts, w.hop(p, s, c))
		}
	}
	return strings.Join(parts, " → ")
}

// hop returns what a stage does to a request, as part of a sentence.
func (w Words) hop(p *Plan, s plan.Stage, c *plan.Component) string {
	words := w.Components[c.ID]
	switch {
	case len(s.Branches) == 1: // a piece of a chain
		return w.sentence(p, s.Branches[0].Stages)
	case chooserWords[c.Kind] != "" && len(s.Branches) > 0:
		var names []string
		for _, b := range s.Branches {
			names = append(names, b.Label)
		}
		last := "or"
		if c.Kind == "balance" {
			last = "and"
		}
		return fmt.Sprintf(chooserWords[c.Kind], list(names, last))
	case len(s.Branches) > 0:
		return w.ways(p, s.Branches)
	case words.Ends:
		return "refused"
	case c.Kind == "direct":
		return straight
	}
	return join(words.What, spaced(words.Where), protected(words.How))
}

// ways returns where the branches of a route lead to, as part of a sentence.
func (w Words) ways(p *Plan, branches []plan.Branch) string {
	const shown = 4
	if len(branches) > shown {
		return fmt.Sprintf("one of %d ways, by rule", len(branches))
	}
	var all []string
	for _, b := range branches {
		of := "the rest"
		if b.Rule != "" {
			of = strings.TrimPrefix(b.Rule, "rule.")
		}
		all = append(all, of+" "+w.way(p, b.Stages))
	}
	return "by rule: " + strings.Join(all, "; ")
}

// way returns where a branch leads to, in few words.
func (w Words) way(p *Plan, stages []plan.Stage) string {
	var names []string
	for _, s := range stages {
		c := p.Components[s.Component]
		switch {
		case c == nil || s.Role != plan.Hop:
		case w.Components[c.ID].Ends:
			return "is refused"
		case len(names) == 0 && (c.Kind == "direct" || chooserWords[c.Kind] != ""):
			names = append(names, w.hop(p, s, c))
		default:
			names = append(names, c.Name)
		}
	}
	if len(names) == 1 && names[0] == straight {
		return straight
	}
	return "to " + strings.Join(names, " → ")
}

func join(parts ...string) string { return strings.Join(parts, "") }

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

func onText(where string) string {
	if where == "" {
		return ""
	}
	return " on " + where
}

// protected returns how a wire is protected, as part of a sentence.
func protected(how string) string {
	switch {
	case how == "":
		return ""
	case strings.HasPrefix(how, "in "), strings.HasPrefix(how, notEncrypted):
		return ", " + how
	}
	return ", encrypted with " + how
}

// list returns "a, b or c", with at most four of them by name.
func list(names []string, or string) string {
	const shown = 4
	if len(names) > shown {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:shown-1], ", "), len(names)-shown+1)
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " " + or + " " + names[last]
	}
	return strings.Join(names, "")
}
