// Package textfile reads the small text files beside a configuration: users, hosts,
// lists, keys, certificates, passwords. It removes what editors add and nobody sees,
// refuses what is not text, and bounds what it reads.
package textfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
)

// Read returns the text of the file at path, which has at most limit bytes; see Reader.
// The file may be a pipe, so that a command can supply it. Errors name the file.
func Read(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, Failed(path, err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil, fmt.Errorf("read %s: it is a folder", path)
	case !mode.IsRegular() && mode&(fs.ModeNamedPipe|fs.ModeCharDevice) == 0:
		return nil, fmt.Errorf("read %s: it is not a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, Failed(path, err)
	}
	defer file.Close()
	bounded := &io.LimitedReader{R: file, N: limit + 1}
	text, err := io.ReadAll(NewReader(path, bounded))
	switch {
	case errors.Is(err, ErrNotText):
		return nil, err
	case err != nil:
		return nil, Failed(path, err)
	case bounded.N <= 0:
		return nil, TooLong(path, limit)
	}
	return text, nil
}

// TooLong returns the error of a file that has more than limit bytes.
func TooLong(path string, limit int64) error {
	return fmt.Errorf("%s has more than %d bytes: is this the right file?", path, limit)
}

// Failed returns the error of reading the file at path, which names it once.
func Failed(path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("read %s: %w", path, err)
}

// WarnIfExposed logs a warning if every user of the machine may read the file at path,
// which holds a secret.
func WarnIfExposed(log *slog.Logger, path string) {
	if info, err := os.Stat(path); err == nil && Exposed(info.Mode()) {
		log.Warn("every user of this machine may read a file with secrets; take that right away with chmod o-r", slog.String("file", path))
	}
}

// Exposed reports whether a file with a mode may be read by every user of the machine.
func Exposed(mode fs.FileMode) bool {
	return mode.IsRegular() && mode.Perm()&0o004 != 0 && runtime.GOOS != "windows"
}
