package core

import "net/netip"

// Rule is a condition on requests with the chain that it leads to: its Over returns the
// Dialer of that chain. Routes ask rules in order and take the first that holds.
type Rule interface {
	Outbound
	// Judge reports whether the rule holds for a request or for one datagram of an
	// association: to is its target, and ips are the addresses of a target that is a name,
	// none if they are not known. Judge does not block, and is safe for concurrent use.
	Judge(r *Request, to Addr, ips []netip.Addr) Judgement
	// On returns the networks on which the rule can hold, 0 for all.
	On() Networks
}

// Judgement is what a rule says of a request.
type Judgement uint8

// The judgements.
const (
	RuleFails    Judgement = iota
	RuleHolds              // the request takes the rule's chain
	RuleNeedsIPs           // it depends on the addresses of the target's name, which are not known
)

// RuleExplainer is a Rule that can say why it holds or not, for a dry run.
type RuleExplainer interface {
	Rule
	// Explain judges as Judge does, and tells the option that decided it, as a key of the
	// rule's table, and the entry of it that matches, if one does.
	Explain(r *Request, to Addr, ips []netip.Addr) (j Judgement, why []RuleReason)
}

// RuleReason is what one option of a rule says of a request.
type RuleReason struct {
	Key   string `json:"key"`  // of the option, as OptionKey makes it; of the entry in the file, if that is known
	Text  string `json:"text"` // "corp.example", "none of 80,312 entries"
	Holds bool   `json:"holds"`
}

// RuleComparer is a Rule that can tell whether another one, which is asked before it, leaves
// it nothing.
type RuleComparer interface {
	Rule
	// HiddenBy returns how many of its entries hold for nothing that the earlier rule does
	// not hold for too, and how many it has. A rule without entries counts as one.
	HiddenBy(earlier Rule) (hidden, of int)
}
