package core

// Digester is a Graph that can tell whether a component is what it was in another file.
type Digester interface {
	Graph
	// Digest returns a text that is the same for two components of one section and name if
	// their tables are, and those of all components that they name. It does not tell what
	// is in the tables.
	Digest(Reference) string
}

// DigestOf returns the digest of the component r, or "" if it is not known: a component
// that keeps state of others over a reload begins anew then.
func DigestOf(env Env, r Reference) string {
	if d, ok := env.Graph.(Digester); ok {
		return d.Digest(r)
	}
	return ""
}
