package core

import "context"

// Chooser is an Outbound that can tell, for a dry run, which of its branches a request would
// take now.
type Chooser interface {
	Outbound
	// Choices returns a Choice for each branch of its Description: those of the rules that
	// it asks, then its own. It dials nothing and counts nothing; it looks names up only if
	// ask is true.
	Choices(ctx context.Context, r *Request, ask bool) ([]Choice, error)
}

// Choice is what becomes of one branch.
type Choice struct {
	Verdict Verdict      `json:"verdict"`
	Why     []RuleReason `json:"why,omitempty"`
	Text    string       `json:"text,omitempty"` // what else is known of it: "down since 12:03, 3 refused"
}

// A Verdict says whether a branch is taken.
type Verdict string

// The verdicts.
const (
	VerdictYes      Verdict = "yes"
	VerdictNo       Verdict = "no"
	VerdictSpare    Verdict = "spare"     // taken if those before it fail
	VerdictDepends  Verdict = "depends"   // on addresses that were not looked up
	VerdictNotAsked Verdict = "not asked" // one before it is taken
)

// Previewer is a Middleware that can tell, for a dry run, what it would do with a request.
type Previewer interface {
	Middleware
	// Preview returns the request that it would pass on, or why it would refuse it. It
	// dials nothing and counts nothing; it looks names up only if ask is true.
	Preview(ctx context.Context, r *Request, ask bool) (*Request, error)
}
