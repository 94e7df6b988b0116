package core

import "context"

// Shutdowner is a component that holds what must be given back. An Inbound is one.
type Shutdowner interface {
	// Shutdown ends what the component has begun and waits for it. It is called after
	// all components that use this one have ended, and also if the file is refused
	// once the component has been built.
	Shutdown(ctx context.Context) error
}
