package netio

// EndOf says what the end of a peer's direction means to WaitGone.
type EndOf bool

// What an end means.
const (
	EndIsHalf EndOf = false // the peer may still read
	EndIsGone EndOf = true  // the peer has closed, if all that it sent has been read
)
