package option

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

// Bounds are the values that an option may have, as the tags min, max and oneof of
// its field say (see core.Add). The zero Bounds allows every value.
type Bounds struct {
	min, max bound
	aboveMin bool // the value min itself is refused
	words    []string
}

// bound is one end of a range. The zero bound is no bound.
type bound struct {
	text  string        // as in the tag
	value reflect.Value // of the option's type
}

// BoundsOf reads the tags of an option of type t. The bounds of a pointer, a list
// or a map are those of each of its elements.
func BoundsOf(t reflect.Type, tag reflect.StructTag) (b Bounds, err error) {
	t = ElementOf(t)
	low, hasMin := tag.Lookup("min")
	high, hasMax := tag.Lookup("max")
	words, hasWords := tag.Lookup("oneof")
	if hasWords && (hasMin || hasMax) {
		return Bounds{}, errors.New("oneof stands beside min or max")
	}
	if hasWords {
		b.words, err = readWords(t, words)
		return b, err
	}
	if hasMin {
		low, b.aboveMin = strings.CutPrefix(low, ">")
		if b.min, err = readBound(t, low); err != nil {
			return Bounds{}, fmt.Errorf("min: %w", err)
		}
	}
	if hasMax {
		if b.max, err = readBound(t, high); err != nil {
			return Bounds{}, fmt.Errorf("max: %w", err)
		}
	}
	if hasMin && hasMax {
		if order := compare(b.min.value, b.max.value); order > 0 || order == 0 && b.aboveMin {
			return Bounds{}, fmt.Errorf("min %s is not below max %s", low, high)
		}
	}
	return b, nil
}

// readWords reads the tag oneof of a plain string.
func readWords(t reflect.Type, tag string) (words []string, err error) {
	if t.Kind() != reflect.String || ReadsText(t) || t.Implements(reflect.TypeFor[core.Reference]()) {
		return nil, fmt.Errorf("oneof: only a plain string can have it, not a %s", t)
	}
	for word := range strings.SplitSeq(tag, ",") {
		if word = strings.TrimSpace(word); word == "" || slices.Contains(words, word) {
			return nil, fmt.Errorf("oneof: %q has an empty word or a word twice", tag)
		}
		words = append(words, word)
	}
	return words, nil
}

// ElementOf returns the type of the values that a pointer, a list or a map holds.
func ElementOf(t reflect.Type) reflect.Type {
	for !ReadsText(t) && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		t = t.Elem()
	}
	return t
}

// ReadsText reports whether values of type t read themselves from text.
func ReadsText(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// readBound reads the tag min or max of a number.
func readBound(t reflect.Type, text string) (bound, error) {
	v := reflect.New(t).Elem()
	var err error
	switch u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); {
	case !v.CanInt() && !v.CanUint() && !v.CanFloat():
		err = fmt.Errorf("only a number can have it, not a %s", t)
	case ok:
		err = u.UnmarshalText([]byte(text))
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, t.Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, t.Bits())
		v.SetUint(n)
	default:
		var x float64
		if x, err = strconv.ParseFloat(text, t.Bits()); math.IsNaN(x) {
			err = errors.New("NaN is not a bound")
		}
		v.SetFloat(x)
	}
	return bound{text, v}, err
}

// compare compares two numbers of one type. NaN is less than any other.
func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	return cmp.Compare(a.Float(), b.Float())
}

// IsZero reports whether b allows every value.
func (b Bounds) IsZero() bool { return b.min.text == "" && b.max.text == "" && b.words == nil }

// Words returns the only strings that are allowed, or nil.
func (b Bounds) Words() []string { return b.words }

// String returns what is allowed: "1 or more", "1s to 24h", "one of a, b". It is ""
// if everything is.
func (b Bounds) String() string {
	low, high := b.min.text, b.max.text
	switch {
	case b.words != nil:
		return "one of " + strings.Join(b.words, ", ")
	case b.aboveMin && high != "":
		return "more than " + low + ", up to " + high
	case b.aboveMin:
		return "more than " + low
	case low != "" && high != "":
		return low + " to " + high
	case low != "":
		return low + " or more"
	case high != "":
		return "up to " + high
	}
	return ""
}

// Check returns an error if v is out of bounds. It is of the type whose bounds they
// are, or of the type of its elements.
func (b Bounds) Check(v reflect.Value) error {
	if b.words != nil {
		if !slices.Contains(b.words, v.String()) {
			return WrongWord(v.String(), b.words)
		}
		return nil
	}
	low, high := false, false
	if b.min.text != "" {
		order := compare(v, b.min.value)
		low = order < 0 || order == 0 && b.aboveMin
	}
	if b.max.text != "" {
		high = compare(v, b.max.value) > 0 || v.CanFloat() && math.IsNaN(v.Float())
	}
	if low || high {
		return fmt.Errorf("want %s, got %v", b, v)
	}
	return nil
}
