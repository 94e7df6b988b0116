package core

import "context"

// Commander is a component that people can talk to while it runs.
type Commander interface {
	// Command does what the words say, and returns what there is to tell, in a form
	// that encoding/json takes. It is called from any goroutine.
	Command(ctx context.Context, words []string) (any, error)
}
