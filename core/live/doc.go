// Package live tells of a service that runs, as package view asks: what its file says,
// what happens in its engine, which files it has served and refused.
package live
