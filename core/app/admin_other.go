//go:build !unix

package app

// privately listens. The folder of the socket says who may open it.
func privately[L any](listen func() (L, error), _ string) (made L, err error) { return listen() }
