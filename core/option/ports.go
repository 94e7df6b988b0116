package option

import (
	"fmt"
	"strings"
)

// Ports is a range of ports: "20000-20100", or one port. The zero Ports is empty.
type Ports struct{ first, last uint16 }

// UnmarshalText reads one port or two, the smaller one first.
func (p *Ports) UnmarshalText(text []byte) error {
	low, high, isRange := strings.Cut(string(text), "-")
	if !isRange {
		high = low
	}
	first, err := parsePort(strings.TrimSpace(low))
	if err != nil {
		return err
	}
	last, err := parsePort(strings.TrimSpace(high))
	if err != nil {
		return err
	}
	if first > last {
		return fmt.Errorf("the range %s begins above its end; write %d-%d", text, last, first)
	}
	p.first, p.last = first, last
	return nil
}

// Type returns what such an option is called.
func (Ports) Type() string { return "port or range" }

// Example returns one.
func (Ports) Example() string { return "20000-20100" }

// IsValid reports whether p was set.
func (p Ports) IsValid() bool { return p.first != 0 }

// Contains reports whether port is one of them.
func (p Ports) Contains(port uint16) bool { return p.IsValid() && p.first <= port && port <= p.last }

// Len returns how many ports there are.
func (p Ports) Len() int {
	if !p.IsValid() {
		return 0
	}
	return int(p.last) - int(p.first) + 1
}

// At returns port i of the range; i is at least 0, and counts on from the
// beginning after the end.
func (p Ports) At(i int) uint16 { return p.first + uint16(i%p.Len()) }

// String returns the form that UnmarshalText reads.
func (p Ports) String() string {
	switch {
	case !p.IsValid():
		return ""
	case p.first == p.last:
		return fmt.Sprint(p.first)
	}
	return fmt.Sprintf("%d-%d", p.first, p.last)
}
