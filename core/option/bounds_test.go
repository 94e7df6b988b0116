package option_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		tag   reflect.StructTag
		value any
		want  string // what the bounds are called
		err   string
	}{
		{`help:"x"`, -1, "", ""},
		{`min:"1"`, 1, "1 or more", ""},
		{`min:"1"`, 0, "1 or more", "want 1 or more, got 0"},
		{`max:"3"`, uint8(3), "up to 3", ""},
		{`max:"3"`, uint8(4), "up to 3", "want up to 3, got 4"},
		{`min:"8" max:"32"`, 32, "8 to 32", ""},
		{`min:"8" max:"32"`, 33, "8 to 32", "want 8 to 32, got 33"},
		{`min:"8" max:"8"`, 8, "8 to 8", ""},
		{`min:"0.5" max:"1e6"`, 1e6, "0.5 to 1e6", ""},
		{`min:"0.5"`, 0.25, "0.5 or more", "want 0.5 or more, got 0.25"},
		{`min:"0.5"`, math.NaN(), "0.5 or more", "want 0.5 or more, got NaN"},
		{`max:"0.5"`, math.NaN(), "up to 0.5", "want up to 0.5, got NaN"},
		{`min:"0"`, math.Inf(1), "0 or more", ""},
		{`max:"1"`, math.Inf(1), "up to 1", "want up to 1, got +Inf"},
		{`min:">0s"`, option.Duration(1), "more than 0s", ""},
		{`min:">0s"`, option.Duration(0), "more than 0s", "want more than 0s, got 0s"},
		{`min:">0" max:"2"`, 2, "more than 0, up to 2", ""},
		{`min:">0" max:"2"`, 3, "more than 0, up to 2", "want more than 0, up to 2, got 3"},
		{`min:"1s" max:"24h"`, option.Duration(48 * 3600e9), "1s to 24h", "want 1s to 24h, got 48h"},
		{`oneof:"allow, deny"`, "deny", "one of allow, deny", ""},
		{`oneof:"allow,deny"`, "Deny", "one of allow, deny", `want one of allow, deny, got "Deny"`},
		{`oneof:"allow,deny"`, "", "one of allow, deny", `want one of allow, deny, got ""`},
	} {
		b, err := option.BoundsOf(reflect.TypeOf(tc.value), tc.tag)
		if err != nil || b.String() != tc.want {
			t.Errorf("%s of a %T: got %q, %v, want %q", tc.tag, tc.value, b, err, tc.want)
			continue
		}
		got := ""
		if err := b.Check(reflect.ValueOf(tc.value)); err != nil {
			got = err.Error()
		}
		if got != tc.err {
			t.Errorf("%s, %v: got %q, want %q", tc.tag, tc.value, got, tc.err)
		}
	}
}

func TestBoundsRefused(t *testing.T) {
	for _, tc := range []struct {
		tag  reflect.StructTag
		of   any
		want string
	}{
		{`min:"one"`, 0, `min: strconv.ParseInt: parsing "one": invalid syntax`},
		{`min:""`, 0, `min: strconv.ParseInt: parsing "": invalid syntax`},
		{`max:"256"`, uint8(0), `max: strconv.ParseUint: parsing "256": value out of range`},
		{`max:">3"`, 0, `max: strconv.ParseInt: parsing ">3": invalid syntax`},
		{`max:"nan"`, 0.0, "max: NaN is not a bound"},
		{`min:"1"`, option.Duration(0), `min: "1" is not a duration; write it as "30s" or "5m"`},
		{`min:"2" max:"1"`, 0, "min 2 is not below max 1"},
		{`min:">1" max:"1"`, 0, "min 1 is not below max 1"},
		{`min:"1"`, "", "min: only a number can have it, not a string"},
		{`max:"1"`, false, "max: only a number can have it, not a bool"},
		{`max:"10.0.0.1"`, option.IP{}, "max: only a number can have it, not a option.IP"},
		{`max:"1"`, struct{}{}, "max: only a number can have it, not a struct {}"},
		{`oneof:"1,2"`, 0, "oneof: only a plain string can have it, not a int"},
		{`oneof:"tcp"`, option.Mode(""), "oneof: only a plain string can have it, not a option.Mode"},
		{`oneof:"house"`, core.Ref[core.Cipher](""), "oneof: only a plain string can have it, not a core.Ref[github.com/umbra-proxy/umbra/core.Cipher]"},
		{`oneof:"a,,b"`, "", `oneof: "a,,b" has an empty word or a word twice`},
		{`oneof:"a,b,a"`, "", `oneof: "a,b,a" has an empty word or a word twice`},
		{`oneof:"a" min:"1"`, "", "oneof stands beside min or max"},
	} {
		if b, err := option.BoundsOf(reflect.TypeOf(tc.of), tc.tag); err == nil || err.Error() != tc.want {
			t.Errorf("%s of a %T: got %q, %v, want %s", tc.tag, tc.of, b, err, tc.want)
		}
	}
}
