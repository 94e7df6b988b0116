package core

// A Reference is an option that names a component. The type says in which
// section, so a file gives the bare name.
type Reference interface {
	RefSection() Section
	RefName() string
}

// CipherRef is an option that names a [cipher.x] table.
type CipherRef string

// OutboundRef is an option that names an [outbound.x] table.
type OutboundRef string

// ResolverRef is an option that names a [resolver.x] table.
type ResolverRef string

// TransportRef is an option that names a [transport.x] table.
type TransportRef string

// RefSection returns SectionCipher.
func (CipherRef) RefSection() Section { return SectionCipher }

// RefName returns the name.
func (r CipherRef) RefName() string { return string(r) }

// RefSection returns SectionOutbound.
func (OutboundRef) RefSection() Section { return SectionOutbound }

// RefName returns the name.
func (r OutboundRef) RefName() string { return string(r) }

// RefSection returns SectionResolver.
func (ResolverRef) RefSection() Section { return SectionResolver }

// RefName returns the name.
func (r ResolverRef) RefName() string { return string(r) }

// RefSection returns SectionTransport.
func (TransportRef) RefSection() Section { return SectionTransport }

// RefName returns the name.
func (r TransportRef) RefName() string { return string(r) }
