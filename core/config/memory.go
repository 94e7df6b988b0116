package config

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core/option"
)

// memoryAuto is the text of the zero Memory.
const memoryAuto = "auto"

// Memory is the option memory of [process]: "auto", "unlimited" or a size such as
// "64MiB". The zero Memory is "auto".
type Memory struct {
	fixed bool
	size  option.Size
}

// Type returns the name of the option type.
func (Memory) Type() string { return "size or auto" }

// Example returns a value.
func (Memory) Example() string { return "64MiB" }

// UnmarshalText reads one of the forms.
func (m *Memory) UnmarshalText(text []byte) error {
	if string(text) == memoryAuto {
		*m = Memory{}
		return nil
	}
	var size option.Size
	if err := size.UnmarshalText(text); err != nil {
		return err
	}
	if size > 0 && size < leastMemory {
		return fmt.Errorf("%s is too little: want at least %s", size, leastMemory)
	}
	*m = Memory{true, size}
	return nil
}

// leastMemory is the least memory in which the program runs.
const leastMemory option.Size = 24 << 20

// String returns the form that UnmarshalText reads.
func (m Memory) String() string {
	if !m.fixed {
		return memoryAuto
	}
	return m.size.String()
}

// Bytes returns the size, 0 for no limit. ok is false for "auto".
func (m Memory) Bytes() (bytes int64, ok bool) { return int64(m.size), m.fixed }
