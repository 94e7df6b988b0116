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
	"path/filepath"
	"runtime"

	"github.com/umbra-proxy/umbra/core"
)

// MaxSize is the largest file in bytes. It is far above any real one; it keeps
// a wrong path from filling the memory.
const MaxSize = 4 << 20

// File is a file without mistakes, with all that it includes.
type File struct {
	Name       string
	Log        Log
	Process    Process
	Admin      Admin
	Manager    Manager
	Pipelines  []*Pipeline // in file order, at least one, or none if there is a Manager
	Components map[ID]*Component
	Warnings   []Problem // sorted; what is no mistake but looks like one

	src *sources
}

// Load reads and parses the file at path, those that it includes, and what is made for it
// while it is served. It warns of files that hold a secret and that every user of the machine
// may read.
func Load(path string, reg *core.Registry, extras ...Extra) (*File, error) {
	data, info, err := read(path)
	if err != nil {
		return nil, err
	}
	return parseDocument(document{name: path, dir: filepath.Dir(path), data: data, info: info}, reg, including(extras))
}

// LoadText is Load for a text that is no file, such as that of the standard input; name
// stands for it in positions. What it includes is relative to the working directory.
func LoadText(name string, data []byte, reg *core.Registry, extras ...Extra) (*File, error) {
	return parseDocument(document{name: name, data: data}, reg, including(extras))
}

// Parse is LoadText without a look at the file system: what the text includes is not read,
// of which it warns.
func Parse(name string, data []byte, reg *core.Registry) (*File, error) {
	return parseDocument(document{name: name, data: data}, reg, (*checker).leaveIncludes)
}

// read returns what the file at path holds. Pipes are read too, so that a file may come
// from a command that decrypts it.
func read(path string) ([]byte, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, readError(path, err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil, nil, readError(path, errors.New("it is a directory"))
	case !mode.IsRegular() && mode&(fs.ModeNamedPipe|fs.ModeCharDevice) == 0:
		return nil, nil, readError(path, errors.New("it is not a file"))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, readError(path, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return nil, nil, readError(path, err)
	}
	return data, info, nil
}

// readError says that a file can't be read.
func readError(path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Errorf("read %s: %w", path, err)
}

// readableByAll reports whether every user of the machine may read a file.
func readableByAll(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 && runtime.GOOS != "windows"
}

// parseDocument reads a text, and then by include those that it includes. The error lists all
// mistakes, each a Problem, a line each, sorted by position. A text with a mistake in its
// TOML syntax has that one alone.
func parseDocument(main document, reg *core.Registry, include func(*checker, *source)) (*File, error) {
	srcs := &sources{}
	src, problem := srcs.add(main)
	if problem != nil {
		return nil, Join(*problem)
	}
	c := &checker{
		src: srcs, reg: reg, guesses: maxGuesses, declared: map[string]*declared{},
		file:  &File{Name: main.name, Components: map[ID]*Component{}, src: srcs},
		ghost: map[ID]bool{},
	}
	if include(c, src); len(c.unread) > 0 {
		return nil, Join(append(c.unread, srcs.problems(c.found)...)...)
	}
	c.readTables()
	c.checkPipelines()
	c.checkBranches()
	c.checkReferences()
	c.describe()
	c.checkListeners()
	c.checkLoops()
	c.checkRanges()
	if len(c.found) > 0 {
		return nil, Join(srcs.problems(c.found)...)
	}
	c.warnOfUnused()
	c.warnOfNames()
	c.warnOfUsers()
	c.warnOfAdmin()
	c.file.warnOfSecrets()
	return c.file, nil
}

// checker collects what parseDocument finds.
type checker struct {
	src      *sources
	reg      *core.Registry
	file     *File
	found    []mistake
	unread   []Problem            // included texts that can't be read at all
	declared map[string]*declared // the named tables, by their headers
	order    []*Component         // in file order
	ghost    map[ID]bool          // named in the file, in a table whose header is wrong
	guesses  int                  // candidates that guess may still compare
	likeness int                  // values that tables have by like

	known     map[core.Section][]string // what names returns
	variables []any                     // what variables hold, of the component that is read
}

// add records a mistake. at is a place.
func (c *checker) add(at int, path, format string, args ...any) {
	c.found = append(c.found, mistake{at, path, fmt.Sprintf(format, args...)})
}
