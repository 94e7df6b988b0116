// Package config reads a file of TOML and checks it. Whatever can be wrong with
// a file without building anything is found here, all of it at once, and each
// mistake has its line and column: grammar, keys, values, references between
// tables, the order of chains.
//
// The TOML library finds the syntax errors and gives the values; where each key
// and value stands is found by a scan of our own (see locate), because the
// library knows one position for a key and its value and none for the elements
// of a list.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/umbra-proxy/umbra/core"
)

// MaxSize is the largest file in bytes. It is far above any real one; it keeps
// a wrong path from filling the memory.
const MaxSize = 4 << 20

// File is a file without mistakes.
type File struct {
	Name       string
	Log        Log
	Process    Process
	Admin      Admin
	Pipelines  []*Pipeline // in file order, at least one
	Components map[ID]*Component
	Warnings   []Problem // sorted; what is no mistake but looks like one

	src  *source
	root *node
}

// Load reads and parses the file at path. It warns of a file that holds a
// secret and that every user of the machine may read.
func Load(path string, reg *core.Registry) (*File, error) {
	data, mode, err := read(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(path, data, reg)
	if err != nil {
		return nil, err
	}
	if mode.IsRegular() && mode.Perm()&0o004 != 0 && runtime.GOOS != "windows" {
		f.warnOfSecrets()
	}
	return f, nil
}

// read returns what the file at path holds, and its mode. Pipes are read too,
// so that a file may come from a command that decrypts it.
func read(path string) ([]byte, fs.FileMode, error) {
	fail := func(err error) error {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		return fmt.Errorf("read %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fail(err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil, 0, fail(errors.New("it is a directory"))
	case !mode.IsRegular() && mode&(fs.ModeNamedPipe|fs.ModeCharDevice) == 0:
		return nil, 0, fail(errors.New("it is not a file"))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, fail(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return nil, 0, fail(err)
	}
	return data, info.Mode(), nil
}

// Parse reads a file's text; name stands for it in positions. The error lists
// all mistakes, each a Problem, a line each, sorted by position. A file with a
// mistake in its TOML syntax has that one alone.
func Parse(name string, data []byte, reg *core.Registry) (*File, error) {
	src, problem := newSource(name, data)
	if problem != nil {
		return nil, Join(*problem)
	}
	values, problem := src.parse()
	if problem != nil {
		return nil, Join(*problem)
	}
	root := locate(src.text)
	c := &checker{
		src: src, reg: reg, guesses: maxGuesses,
		file:  &File{Name: name, Components: map[ID]*Component{}, src: src, root: root},
		ghost: map[ID]bool{},
	}
	c.readTables(values, root)
	c.checkPipelines()
	c.checkBranches()
	c.checkReferences()
	c.describe()
	c.checkListeners()
	c.checkLoops()
	c.checkRanges()
	if len(c.found) > 0 {
		return nil, Join(src.problems(c.found)...)
	}
	c.warnOfUnused()
	c.warnOfNames()
	c.warnOfUsers()
	return c.file, nil
}

// checker collects what Parse finds.
type checker struct {
	src     *source
	reg     *core.Registry
	file    *File
	found   []mistake
	order   []*Component // in file order
	ghost   map[ID]bool  // named in the file, in a table whose header is wrong
	guesses int          // candidates that guess may still compare
}

// add records a mistake. at is an offset in the text.
func (c *checker) add(at int, path, format string, args ...any) {
	c.found = append(c.found, mistake{at, path, fmt.Sprintf(format, args...)})
}
