package core

// Retirer is a component with parts that only new connections need, such as a table of
// users. Components of an old configuration live as long as its last connection.
type Retirer interface {
	// Retire lets go of these parts. It is called once all inbounds of the component's
	// file have stopped: none of them will accept a stream or open a datagram any more.
	// Connections and associations continue, and their dials may be in progress. Run may
	// still run.
	Retire()
}
