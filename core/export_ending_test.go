package core

// EndAs and TarpitConn are what ends the connections of clients that a gate refuses.
var (
	EndAs      = endAs
	TarpitConn = tarpit
)
