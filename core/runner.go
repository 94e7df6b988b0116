package core

import "context"

// Runner is a component with work of its own beside the connections: it watches a
// file, keeps a journal. A constructor starts nothing (see Env); this does.
type Runner interface {
	// Run works until ctx ends. It is called once the addresses of the file are
	// bound and before anything is served; ctx ends after all that was served has
	// ended. While a file is being replaced the old and the new component run side
	// by side. What fails is logged and does not end the service.
	Run(ctx context.Context)
}
