package view

import (
	"bytes"
	"io"

	"golang.org/x/net/html"
)

// document is a page of HTML that is being filled. What is put in is text, never markup.
type document struct{ root *html.Node }

// parse reads a file of the page.
func parse(file []byte) document {
	root, err := html.Parse(bytes.NewReader(file))
	if err != nil {
		panic(err) // reading from memory does not fail, and nothing else does
	}
	return document{root}
}

// write writes the page.
func (d document) write(w io.Writer) { _ = html.Render(w, d.root) } // the client may have gone

// find returns the element with an id.
func (d document) find(id string) *html.Node {
	for n := range d.root.Descendants() {
		if attribute(n, "id") == id {
			return n
		}
	}
	panic("view: the page has no element " + id)
}

// put appends nodes to the element with an id.
func (d document) put(id string, nodes ...*html.Node) { add(d.find(id), nodes...) }

// show shows an element that is hidden.
func (d document) show(id string) {
	n := d.find(id)
	for i, a := range n.Attr {
		if a.Key == "hidden" {
			n.Attr = append(n.Attr[:i], n.Attr[i+1:]...)
			return
		}
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func add(to *html.Node, nodes ...*html.Node) {
	for _, n := range nodes {
		to.AppendChild(n)
	}
}

// text returns a node of text.
func text(s string) *html.Node { return &html.Node{Type: html.TextNode, Data: s} }

// element returns an element with a class, "" for none.
func element(tag, class string, children ...*html.Node) *html.Node {
	n := &html.Node{Type: html.ElementNode, Data: tag}
	if class != "" {
		n.Attr = []html.Attribute{{Key: "class", Val: class}}
	}
	add(n, children...)
	return n
}

// with adds an attribute.
func with(n *html.Node, key, value string) *html.Node {
	n.Attr = append(n.Attr, html.Attribute{Key: key, Val: value})
	return n
}

// row returns a row of a table.
func row(cells ...string) *html.Node {
	tr := element("tr", "")
	for _, c := range cells {
		add(tr, element("td", "", text(c)))
	}
	return tr
}

// heads returns the head of a table.
func heads(names ...string) *html.Node {
	tr := element("tr", "")
	for _, name := range names {
		add(tr, with(element("th", "", text(name)), "scope", "col"))
	}
	return element("thead", "", tr)
}
