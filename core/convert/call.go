package convert

// Flag is a flag of a program, as it was given.
type Flag struct {
	Said  string // with its dashes: "-t", "--acl"
	Value string
	Bare  bool // it has no value
}

// UsageError is an error after which a program tells how it is called.
type UsageError struct{ Err error }

// Error implements error.
func (e UsageError) Error() string { return e.Err.Error() }
