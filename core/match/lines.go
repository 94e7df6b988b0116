package match

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/gaissmai/bart"
	"github.com/umbra-proxy/umbra/core/option"
)

// maxFile is the maximum size of a list file in bytes, about ten million names.
const maxFile = 256 << 20

// maxLine is the maximum length of a line in bytes, including its end.
const maxLine = 16 << 10

// eachLine calls add with each line of a file that is neither empty nor a comment,
// without the spaces around it. add may change the line and must not keep it. An error
// names the line.
func eachLine(path string, r io.Reader, add func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxLine), maxLine)
	n := 0
	fail := func(err error) error { return fmt.Errorf("%s:%d: %w", path, n, err) }
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := add(line); err != nil {
			return fail(err)
		}
	}
	n++
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return fail(fmt.Errorf("line longer than %d bytes", maxLine))
	}
	return err
}

// ReadTargets reads the text of a file of targets. path stands for it in errors.
func ReadTargets(path string, r io.Reader) (*Targets, error) {
	set := new(Targets)
	err := eachLine(path, r, func(line []byte) error { return targetLine(set, line) })
	set.seal()
	return set, err
}

// targetLine adds the entries of a line: one entry, or the names of a line of a hosts
// file, which match exactly.
func targetLine(t *Targets, line []byte) error {
	line = uncomment(line)
	first, rest := field(line)
	if len(rest) > 0 {
		if _, err := netip.ParseAddr(string(first)); err != nil {
			return fmt.Errorf("%.60q has several words: want one entry, or an address and its names", line)
		}
		return hostsLine(t, rest)
	}
	e, err := parse(first)
	switch {
	case err != nil:
		return err
	case e.kind == file:
		return errNested
	}
	return t.add(e)
}

func hostsLine(t *Targets, rest []byte) error {
	for len(rest) > 0 {
		var name []byte
		name, rest = field(rest)
		if isAddress(name) {
			continue // lists begin with "0.0.0.0 0.0.0.0"
		}
		e, err := parseName(exact, name)
		if err != nil {
			return err
		}
		if err := t.add(e); err != nil {
			return err
		}
	}
	return nil
}

// sourceLine adds the range of a line.
func sourceLine(set *bart.Lite, line []byte) error {
	line = uncomment(line)
	if _, ok := CutFile(string(line)); ok {
		return errNested
	}
	var p option.Prefix
	if err := p.UnmarshalText(line); err != nil {
		return err
	}
	set.Insert(p.Prefix)
	return nil
}

// uncomment removes a comment at the end of a line, which begins with a space and "#".
func uncomment(line []byte) []byte {
	for i := 1; i < len(line); i++ {
		if line[i] == '#' && isSpace(line[i-1]) {
			return bytes.TrimSpace(line[:i])
		}
	}
	return line
}

// field returns the first word of a line and the rest, both without spaces around
// them.
func field(line []byte) (word, rest []byte) {
	i := bytes.IndexFunc(line, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) })
	if i < 0 {
		return line, nil
	}
	return line[:i], bytes.TrimSpace(line[i:])
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }
