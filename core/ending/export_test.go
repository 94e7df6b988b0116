package ending

// EndAs and TarpitConn are what ends the connections of clients that a gate refuses.
var (
	EndAs      = Refuse
	TarpitConn = tarpit
)
