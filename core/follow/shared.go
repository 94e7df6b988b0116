package follow

import (
	"fmt"
	"strings"
)

// SharedValue is NewValue for a value that components of the process share, also those of an
// old and a new configuration: where the purpose and the paths are the same, they get one
// Value. The purpose stands for all that Make and Reloaded depend on. A Value that is in use
// is brought up to date first, and the error of that is returned.
func SharedValue[T any](f *Files, purpose string, s Source[T]) (*Value[T], error) {
	key := fmt.Sprintf("value of %s\x00%s", purpose, strings.Join(s.Paths, "\x00"))
	v := share(f, key, func() *Value[T] { return prepare(s) })
	if err := v.update(); err != nil {
		return nil, err
	}
	return v, nil
}

// update reads the files if they have changed, or if the last read made no value.
func (v *Value[T]) update() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	differs := v.failed
	for _, f := range v.files {
		differs = f.Differs() || differs
	}
	if !differs {
		return nil
	}
	return v.read()
}
