package config

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// describe asks the options of all components what they say of themselves. It is
// called for files with mistakes too.
func (c *checker) describe() {
	for _, component := range c.order {
		d, err := describe(component.Options)
		if err != nil {
			c.add(component.at.key, component.ID.String(), "a mistake in the program: %v", err)
		}
		component.Description = d
	}
}

// describe returns what options say of themselves. A panic is a mistake in their
// kind, which must not end a process that reads its file again.
func describe(options any) (d core.Description, err error) {
	describer, ok := options.(core.Describer)
	if !ok {
		return core.Description{}, nil
	}
	defer func() {
		if v := recover(); v != nil {
			d, err = core.Description{}, fmt.Errorf("describe: panic: %v", v)
		}
	}()
	return describer.Describe(), nil
}

// place returns where the option with a key stands, and its path in messages,
// which has no indexes of lists. What is missing is missing from its table, and the
// element of a list that the file gives without brackets stands where the list does.
func (c *Component) place(key string) (at int, path string) {
	n, path := c.find(key)
	return n.value, path
}

// find is place with all that is known of the option.
func (c *Component) find(key string) (n *node, path string) {
	n, path = c.at, c.ID.String()
	for _, part := range core.SplitOptionKey(key) {
		if i, isElement := n.element(part); isElement {
			n = n.item(i)
			continue
		}
		n, path = n.child(part), n.path(path, part)
	}
	return n, path
}
