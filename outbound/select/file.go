package selector

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/umbra-proxy/umbra/core/textfile"
)

// maxFile is far above the size of a name in bytes.
const maxFile = 4 << 10

// load returns the name in the file at path, "" if there is no such file yet.
func load(path string) (string, error) {
	text, err := textfile.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// save replaces the file at path by one with a name, as a whole: a process that is killed
// meanwhile leaves the old one or the new one.
func save(path, name string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("keep the choice: %w", err)
	}
	defer os.Remove(temp.Name()) // fails once it was renamed
	_, err = temp.WriteString(name + "\n")
	if err == nil {
		err = temp.Sync()
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("keep the choice: %w", err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fmt.Errorf("keep the choice: %w", err)
	}
	return nil
}
