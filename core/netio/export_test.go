package netio

// Sizes of the buffers that are lent.
const (
	BigBuffer   = bigBuffer
	SmallBuffer = smallBuffer
)
