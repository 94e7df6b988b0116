package core

import "time"

// Step is one thing that was done for a request on its way, such as a dial.
type Step struct {
	Kind   StepKind
	Name   string // the component, as "outbound.paris"
	Detail string // what it chose or found: a rule, a member of a group, addresses
	Began  time.Time
	Took   time.Duration
	Err    error
}

// StepKind is what was done.
type StepKind string

// The kinds of steps.
const (
	StepRule    StepKind = "rule"    // a rule was found that decides about the request
	StepResolve StepKind = "resolve" // the addresses of the target were looked up
	StepDial    StepKind = "dial"    // an outbound reached the target or the next hop
)

// maxSteps is how many steps of a flow are kept.
const maxSteps = 32

// Record makes the flow keep the steps that follow. Where nobody wants to see them, a step
// costs nothing.
func (f *Flow) Record() {
	f.recording.Store(true)
}

// Recording reports whether the flow keeps steps. It is false for a nil flow.
func (f *Flow) Recording() bool {
	return f != nil && f.recording.Load()
}

// Step keeps a step, if the flow is recording and has not kept 32 of them.
func (f *Flow) Step(s Step) {
	if !f.Recording() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.rarely(); r.whole != nil {
		r.whole.Step(s)
	} else if len(r.steps) < maxSteps {
		r.steps = append(r.steps, s)
	}
}

// Steps returns the steps that were kept, in the order in which they ended. It must not be
// changed.
func (f *Flow) Steps() []Step {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rare == nil {
		return nil
	}
	return f.rare.steps[:len(f.rare.steps):len(f.rare.steps)]
}
