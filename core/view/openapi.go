package view

import (
	"net/http"
	"reflect"
	"strings"
	"time"
)

// object is a value of JSON with keys.
type object = map[string]any

// openAPI answers with the description of the API, in the form of OpenAPI 3.1. It is made
// from the paths and the types that the handlers use.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.description())
}

func (s *Server) description() object {
	d := describer{schemas: object{}}
	paths := object{}
	for _, e := range s.endpoints() {
		path, ok := paths[e.path].(object)
		if !ok {
			path = object{}
			paths[e.path] = path
		}
		path[strings.ToLower(e.method)] = d.operation(e)
	}
	problem := d.of(reflect.TypeFor[Problem]())
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "umbra", "version": "1", "description": "What a running umbra tells of itself. Requests that change something need write = true in [admin]."},
		"paths":   paths,
		"components": object{
			"schemas":         d.schemas,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
			"responses":       object{"problem": object{"description": "not done", "content": object{"application/json": object{"schema": problem}}}},
		},
		"security": []any{object{"token": []any{}}, object{}},
	}
}

// describer collects the schemas of types.
type describer struct{ schemas object }

// operation describes one path and method.
func (d describer) operation(e endpoint) object {
	var parameters []any
	for _, segment := range strings.Split(e.path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			parameters = append(parameters, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, q := range e.query {
		parameters = append(parameters, object{"name": q.name, "in": "query", "description": q.about, "schema": object{"type": "string"}})
	}
	responses := object{"default": object{"$ref": "#/components/responses/problem"}}
	if e.result == nil {
		responses["204"] = object{"description": "done"}
	} else {
		responses["200"] = object{"description": "ok", "content": object{"application/json": object{"schema": d.of(reflect.TypeOf(e.result))}}}
	}
	op := object{"summary": e.about, "responses": responses}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if e.body != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.of(reflect.TypeOf(e.body))}}}
	}
	return op
}

// of returns the schema of a type. That of a struct stands in the list by its name.
func (d describer) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return d.of(t.Elem())
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": d.of(t.Elem())}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": d.of(t.Elem())}
	case t.Kind() == reflect.Struct:
		return d.structure(t)
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.Float64:
		return object{"type": "number"}
	case t.Kind() == reflect.String:
		return object{"type": "string"}
	}
	return object{"type": "integer"}
}

func (d describer) structure(t reflect.Type) object {
	name := t.Name()
	if strings.HasSuffix(t.PkgPath(), "/plan") {
		name = "Plan" + strings.TrimPrefix(name, "Plan")
	}
	ref := object{"$ref": "#/components/schemas/" + name}
	if _, known := d.schemas[name]; known {
		return ref
	}
	properties, required := object{}, []any{}
	d.schemas[name] = object{"type": "object", "properties": properties} // a type may hold itself
	for i := range t.NumField() {
		f := t.Field(i)
		key, omit, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "" || key == "-" {
			continue
		}
		properties[key] = d.of(f.Type)
		if omit == "" {
			required = append(required, key)
		}
	}
	d.schemas[name] = object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	return ref
}
