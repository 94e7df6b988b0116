// Package coretest contains conformance kits for the contracts of package core, and
// fakes, for tests of components.
//
// A kit is a function that runs its cases as subtests. The author of an
// outbound, an inbound or a policy calls it from a test of their own:
//
//	func TestConformance(t *testing.T) {
//		coretest.TestDialer(t, func(t testing.TB) core.Dialer { return newMine(t) })
//	}
//
// The fakes wait on channels, condition variables and timers alone, so they work
// in a synctest bubble.
package coretest
